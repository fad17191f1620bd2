/** One participant, or one shared screen. */
import type { Track } from 'livekit-client';
import { hue, initials } from '../text';
import { Icon } from '../ui/icon';
import { Video } from '../ui/video';
import type { Quality, Seat } from './seats';

export type View = 'camera' | 'screen';

interface Props {
  seat: Seat;
  view: View;
  pinned: boolean;
  onPin: () => void;
}

export function Tile({ seat, view, pinned, onPin }: Props) {
  const name = seat.isLocal ? 'You' : seat.name;
  const title = view === 'screen' ? `${name}: screen` : name;
  const track = view === 'screen' ? seat.screen : seat.camera;
  const isSpeaking = view === 'camera' && seat.speaking;
  return (
    <li
      class={`tile is-${view} ${isSpeaking ? 'is-speaking' : ''} ${seat.isLocal ? 'is-me' : ''}`}
      ref={(element) => element?.style.setProperty('--hue', String(hue(seat.identity)))}
      data-testid="tile"
      data-view={view}
      data-identity={seat.identity}
      data-local={seat.isLocal}
      data-speaking={isSpeaking}
      data-mic={seat.mic}
      data-quality={seat.quality}
      data-video={track ? 'on' : 'off'}
    >
      {view === 'camera' && (
        <span class="avatar" aria-hidden="true">
          {initials(seat.name)}
        </span>
      )}
      {track && <Picture seat={seat} view={view} track={track} title={title} />}
      {seat.cameraPaused && view === 'camera' && <p class="tile-note">Picture paused: slow network</p>}
      <div class="tile-label">
        {view === 'camera' && seat.mic === 'off' && (
          <span class="tile-muted">
            <Icon name="mic-off" />
            <span class="sr-only">Muted:</span>
          </span>
        )}
        {view === 'screen' && <Icon name="screen" />}
        <span class="tile-name">{title}</span>
        {view === 'camera' && <Bars quality={seat.quality} />}
      </div>
      <div class="tile-tools">
        {view === 'screen' && (
          <button type="button" class="icon-button" aria-label={`Show ${title} full screen`} onClick={fullScreen}>
            <Icon name="expand" />
          </button>
        )}
        <button type="button" class="icon-button" aria-label={`Keep ${title} large`} aria-pressed={pinned} data-testid="pin" onClick={onPin}>
          <Icon name="pin" />
        </button>
      </div>
    </li>
  );
}

function Picture({ seat, view, track, title }: { seat: Seat; view: View; track: Track; title: string }) {
  return (
    <Video
      key={track.sid ?? track.mediaStreamID}
      track={track}
      look={view === 'screen' ? 'whole' : 'fill'}
      mirrored={seat.isLocal && view === 'camera'}
      label={view === 'screen' ? title : `Video of ${title}`}
    />
  );
}

const BARS: Record<Quality, { lit: number; words: string }> = {
  unknown: { lit: 0, words: '' },
  lost: { lit: 0, words: 'Connection lost' },
  poor: { lit: 1, words: 'Poor connection' },
  good: { lit: 2, words: 'Good connection' },
  excellent: { lit: 3, words: 'Excellent connection' },
};

export function Bars({ quality }: { quality: Quality }) {
  const { lit, words } = BARS[quality];
  if (words === '') return null;
  return (
    <span class={`bars is-${quality}`} title={words}>
      {[1, 2, 3].map((bar) => (
        <span key={bar} class={bar <= lit ? 'is-lit' : ''} />
      ))}
      <span class="sr-only">{words}</span>
    </span>
  );
}

function fullScreen(event: Event): void {
  const tile = (event.currentTarget as HTMLElement).closest('.tile');
  void (document.fullscreenElement ? document.exitFullscreen() : tile?.requestFullscreen());
}
