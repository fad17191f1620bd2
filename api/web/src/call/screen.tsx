/** The call as a page: the stage, a panel beside it, the bar below, and what must be said at once. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { people } from '../text';
import { Icon, Mark } from '../ui/icon';
import { complain, notify, settle, whisper } from '../ui/notices';
import type { Call } from './call';
import { Controls } from './controls';
import { ChatPanel, PeoplePanel } from './panels';
import { ShortcutsDialog, useShortcuts } from './shortcuts';
import { Stage } from './stage';

export type PanelName = 'chat' | 'people';

interface Props {
  call: Call;
  room: string;
  link: string;
}

export function CallScreen({ call, room, link }: Props) {
  const [panel, setPanel] = useState<PanelName | undefined>();
  const [help, setHelp] = useState(false);
  const main = useRef<HTMLElement>(null);
  const opener = useRef<Element | null>(null);

  const openPanel = (name: PanelName | undefined) => {
    const from = document.activeElement;
    if (!from?.closest('.panel')) opener.current = from;
    if (name === 'chat') settle();
    const next = panel === name ? undefined : name;
    setPanel(next);
    if (!next && opener.current instanceof HTMLElement) opener.current.focus();
  };
  const copy = () => void copyLink(link);

  useEffect(() => main.current?.focus(), []);
  useSpokenState(call, panel);
  useAwakeScreen();
  useShortcuts({
    m: () => void call.toggleMic(),
    v: () => void call.toggleCamera(),
    s: () => void call.toggleScreen(),
    c: () => openPanel('chat'),
    p: () => openPanel('people'),
    l: copy,
    '?': () => setHelp(true),
    Escape: () => panel && openPanel(undefined),
  });

  return (
    <main class={`call ${panel ? 'has-panel' : ''}`} ref={main} tabIndex={-1} aria-label={`Call in room ${room}`} data-testid="call">
      <header class="call-head">
        <Mark />
        <h1 title={room}>{room}</h1>
        <span class="faint" data-testid="people-count">
          {people(call.seats.value.length)}
        </span>
        <button type="button" class="icon-button" aria-label="Copy the link to this room" title="Copy the link to this room" data-testid="copy-link" onClick={copy}>
          <Icon name="link" />
        </button>
      </header>
      <div class="call-body">
        <Banners call={call} />
        <Stage call={call} />
        {call.seats.value.length === 1 && !panel && <Alone onCopy={copy} />}
      </div>
      {panel === 'chat' && <ChatPanel call={call} onClose={() => openPanel('chat')} />}
      {panel === 'people' && <PeoplePanel call={call} onCopy={copy} onClose={() => openPanel('people')} />}
      <Controls call={call} panel={panel} onPanel={openPanel} onCopy={copy} onHelp={() => setHelp(true)} />
      {help && <ShortcutsDialog onClose={() => setHelp(false)} />}
    </main>
  );
}

function Banners({ call }: { call: Call }) {
  return (
    <div class="banners">
      <div role="status">
        {call.link.value === 'mending' && (
          <p class="banner" data-testid="reconnecting">
            <span class="spinner" aria-hidden="true" />
            Connection lost. Reconnecting…
          </p>
        )}
      </div>
      {call.silenced.value && (
        <button type="button" class="banner is-action" data-testid="start-audio" onClick={() => void call.unsilence()}>
          <Icon name="speaker" />
          Turn on the sound
        </button>
      )}
    </div>
  );
}

function Alone({ onCopy }: { onCopy: () => void }) {
  return (
    <div class="alone">
      <p>Nobody else is here yet.</p>
      <button type="button" class="button is-primary" onClick={onCopy}>
        <Icon name="link" />
        Copy invite link
      </button>
    </div>
  );
}

/** What the eye sees on the buttons and in the closed chat is also said. */
function useSpokenState(call: Call, panel: PanelName | undefined): void {
  const mic = call.me.value?.mic;
  const camera = Boolean(call.me.value?.camera);
  const newest = call.chat.messages.value.at(-1);
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) whisper(mic === 'on' ? 'Microphone on' : 'Microphone off');
  }, [mic]);
  useEffect(() => {
    if (!isFirst.current) whisper(camera ? 'Camera on' : 'Camera off');
  }, [camera]);
  useEffect(() => {
    if (newest && !newest.mine && panel !== 'chat') notify(`${newest.name}: ${newest.text.slice(0, 120)}`);
  }, [newest?.id]);
  useEffect(() => {
    isFirst.current = false;
  }, []);
}

/** A phone that dims in the middle of a call is a call that ends. */
function useAwakeScreen(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | undefined;
    const ask = async () => {
      if (document.visibilityState !== 'visible') return;
      lock = await navigator.wakeLock?.request('screen').catch(() => undefined);
    };
    void ask();
    document.addEventListener('visibilitychange', ask);
    return () => {
      document.removeEventListener('visibilitychange', ask);
      void lock?.release();
    };
  }, []);
}

async function copyLink(link: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(link);
    notify('Link copied');
  } catch {
    complain(`The link could not be copied. It is ${link}`);
  }
}
