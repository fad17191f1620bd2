/** Before the call: how one looks and sounds, which devices, under which name. */
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { CAN_CHOOSE_SPEAKER, type Kind } from '../call/devices';
import { prefs, remember } from '../prefs';
import { hue, initials } from '../text';
import { DeviceChoice } from '../ui/device-choice';
import { Icon, Mark } from '../ui/icon';
import { Popover } from '../ui/popover';
import { Video } from '../ui/video';
import type { Problem } from '../words';
import { Meter } from './meter';
import { readClaims } from './pass';
import { Preview } from './preview';

const NAME_MAX = 60;

export interface Visit {
  name: string;
  /** Empty: the server is asked for one. */
  token: string;
  /** What was captured; the call takes it when it stands. */
  preview: Preview;
}

interface Props {
  room: string;
  /** The token that came with the link, if one did. */
  token: string;
  suggestedName: string;
  problem: Problem | undefined;
  /** Resolves when the call stands, or with the lobby shown again and a problem. */
  onJoin: (visit: Visit) => Promise<'joined' | 'refused'>;
  onBack: () => void;
}

export function Lobby({ room, token: given, suggestedName, problem, onJoin, onBack }: Props) {
  const preview = useMemo(() => new Preview(), []);
  const [name, setName] = useState(suggestedName || prefs().name);
  const [token, setToken] = useState(given);
  const [joining, setJoining] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const claims = readClaims(given);
  const asksToken = given === '' && problem?.remedy === 'token';

  useEffect(() => {
    heading.current?.focus();
    const { mic, camera } = prefs();
    void preview.open({ mic, camera });
    return () => preview.close();
  }, [preview]);

  const join = async (event: Event) => {
    event.preventDefault();
    if (joining) return;
    setJoining(true);
    remember({ name: name.trim() });
    const outcome = await onJoin({ name: name.trim(), token: token.trim(), preview });
    if (outcome === 'refused') setJoining(false);
  };

  return (
    <main class="lobby">
      <header class="lobby-head">
        <a
          class="brand"
          href="./"
          onClick={(event) => {
            event.preventDefault();
            onBack();
          }}
        >
          <Mark />
          Sabha
        </a>
      </header>
      <Mirror preview={preview} name={claims?.name || name} />
      <form class="lobby-form" onSubmit={(event) => void join(event)}>
        <h1 tabIndex={-1} ref={heading}>
          <span class="faint">You are about to join</span>
          <strong data-testid="lobby-room">{claims?.room || room}</strong>
        </h1>
        {claims ? (
          <p>
            Your link lets you in as <strong>{claims.name || claims.identity}</strong>.
          </p>
        ) : (
          <div class="labelled">
            <label for="name">Your name</label>
            <input
              id="name"
              class="field"
              required={token.trim() === ''}
              maxLength={NAME_MAX}
              autocomplete="name"
              value={name}
              data-testid="join-name"
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </div>
        )}
        {asksToken && (
          <div class="labelled">
            <label for="token">Access token</label>
            <textarea
              id="token"
              class="field"
              rows={3}
              spellcheck={false}
              autocomplete="off"
              value={token}
              data-testid="join-token"
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          </div>
        )}
        <Trouble problem={problem} testid="join-problem" />
        <Trouble problem={preview.problem.value} testid="device-problem" />
        <button type="submit" class="button is-primary is-wide" disabled={joining} data-testid="join-button">
          {joining ? 'Joining…' : 'Join'}
        </button>
      </form>
    </main>
  );
}

function Mirror({ preview, name }: { preview: Preview; name: string }) {
  const [chosen, setChosen] = useState(prefs());
  const camera = preview.camera.value;
  const mic = preview.mic.value;
  const choose = (kind: Kind, id: string) => {
    void preview.choose(kind, id).then(() => setChosen(prefs()));
  };
  return (
    <section class="mirror" aria-label="Your camera and microphone">
      <div class="mirror-picture" ref={(element) => element?.style.setProperty('--hue', String(hue(name)))}>
        {camera ? (
          <Video track={camera} look="fill" mirrored label="Your camera" testid="preview-video" />
        ) : (
          <span class="avatar is-large" aria-hidden="true">
            {name.trim() ? initials(name) : <Icon name="camera-off" />}
          </span>
        )}
        {!camera && <p class="mirror-note">{preview.busy.value ? 'Starting your camera…' : 'Your camera is off'}</p>}
      </div>
      <div class="mirror-bar">
        <div class="split">
          <Toggle on={Boolean(mic)} what="microphone" testid="preview-mic" onToggle={() => void preview.toggle('mic')}>
            <Icon name={mic ? 'mic' : 'mic-off'} />
            {mic && <Meter track={mic} />}
          </Toggle>
          <Popover label="Choose sound devices" icon="chevron" testid="preview-audio-devices" class="split-more">
            <DeviceChoice kind="audioinput" chosen={mic?.mediaStreamTrack.getSettings().deviceId ?? chosen.audioinput} onChoose={choose} />
            {CAN_CHOOSE_SPEAKER && <DeviceChoice kind="audiooutput" chosen={chosen.audiooutput} onChoose={choose} />}
          </Popover>
        </div>
        <div class="split">
          <Toggle on={Boolean(camera)} what="camera" testid="preview-camera" onToggle={() => void preview.toggle('camera')}>
            <Icon name={camera ? 'camera' : 'camera-off'} />
          </Toggle>
          <Popover label="Choose a camera" icon="chevron" testid="preview-video-devices" class="split-more">
            <DeviceChoice kind="videoinput" chosen={camera?.mediaStreamTrack.getSettings().deviceId ?? chosen.videoinput} onChoose={choose} />
          </Popover>
        </div>
      </div>
    </section>
  );
}

interface ToggleProps {
  on: boolean;
  what: string;
  testid: string;
  onToggle: () => void;
  children: ComponentChildren;
}

function Toggle({ on, what, testid, onToggle, children }: ToggleProps) {
  const label = `Turn ${on ? 'off' : 'on'} ${what}`;
  return (
    <button
      type="button"
      class={`round-button ${on ? '' : 'is-off'}`}
      aria-label={label}
      title={label}
      data-testid={testid}
      data-on={on}
      onClick={onToggle}
    >
      {children}
    </button>
  );
}

/** The box is always in the page, so that what appears in it is spoken. */
function Trouble({ problem, testid }: { problem: Problem | undefined; testid: string }) {
  return (
    <div role="alert" class="trouble-place">
      {problem && (
        <div class="trouble" data-testid={testid}>
          <strong>{problem.title}</strong>
          <span>{problem.hint}</span>
        </div>
      )}
    </div>
  );
}
