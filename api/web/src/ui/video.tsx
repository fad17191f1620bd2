/** A picture: attaches one track of the media library to one element, and lets go of it again. */
import type { Track } from 'livekit-client';
import { useEffect, useRef } from 'preact/hooks';

interface Props {
  track: Track;
  look: 'fill' | 'whole';
  mirrored?: boolean;
  testid?: string;
  /** What the picture shows, for those who do not see it. */
  label: string;
}

export function Video({ track, look, mirrored = false, testid, label }: Props) {
  const element = useRef<HTMLVideoElement>(null);

  useEffect(() => {
    const video = element.current;
    if (!video) return;
    track.attach(video);
    if (!track.isLocal) markFirstFrame(video);
    return () => void track.detach(video);
  }, [track]);

  return (
    <video
      ref={element}
      class={`video is-${look} ${mirrored ? 'is-mirrored' : ''}`}
      autoplay
      playsInline
      muted
      disablePictureInPicture={look === 'fill'}
      aria-label={label}
      data-testid={testid}
    />
  );
}

/** `performance.measure` entry `sabha:first-frame`: from the click on Join to the first picture of somebody else. */
function markFirstFrame(video: HTMLVideoElement): void {
  if (performance.getEntriesByName('sabha:first-frame').length > 0) return;
  video.requestVideoFrameCallback?.(() => {
    if (performance.getEntriesByName('sabha:first-frame').length > 0) return;
    if (performance.getEntriesByName('sabha:join').length > 0) performance.measure('sabha:first-frame', 'sabha:join');
  });
}
