/** How loud the microphone is: a ring that grows. Shows that it works without a word. */
import { createAudioAnalyser, type LocalAudioTrack } from 'livekit-client';
import { useEffect, useRef } from 'preact/hooks';

export function Meter({ track }: { track: LocalAudioTrack }) {
  const ring = useRef<HTMLSpanElement>(null);

  useEffect(() => {
    const { calculateVolume, cleanup } = createAudioAnalyser(track, { smoothingTimeConstant: 0.5 });
    let frame = 0;
    const draw = () => {
      ring.current?.style.setProperty('--level', Math.min(1, calculateVolume() * 2.5).toFixed(2));
      frame = requestAnimationFrame(draw);
    };
    draw();
    return () => {
      cancelAnimationFrame(frame);
      void cleanup();
    };
  }, [track]);

  return <span class="meter" ref={ring} aria-hidden="true" />;
}
