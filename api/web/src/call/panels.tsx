/** What opens beside the stage: the chat and the list of people. */
import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { clock, hue, initials, linkify, people } from '../text';
import { Icon } from '../ui/icon';
import type { Call } from './call';
import { type Message, TEXT_MAX } from './chat';
import { Bars } from './tile';

export function ChatPanel({ call, onClose }: { call: Call; onClose: () => void }) {
  const [draft, setDraft] = useState('');
  const log = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLTextAreaElement>(null);
  const messages = call.chat.messages.value;

  useEffect(() => input.current?.focus(), []);
  useEffect(() => call.chat.markRead(), [call, messages]);
  useLayoutEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [messages]);

  const send = (event: Event) => {
    event.preventDefault();
    void call.chat.send(draft);
    setDraft('');
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
  };

  return (
    <Panel title="Chat" onClose={onClose}>
      <div class="messages" role="log" aria-label="Messages" tabIndex={0} ref={log} data-testid="chat-log">
        {messages.length === 0 && <p class="messages-empty">Everybody who is here now can read what you write. It is gone when the call ends.</p>}
        <ol>
          {messages.map((message, index) => (
            <Said key={message.id} message={message} follows={isFollowUp(messages[index - 1], message)} />
          ))}
        </ol>
      </div>
      {call.mayChat.value ? (
        <form class="composer" onSubmit={send}>
          <textarea
            ref={input}
            class="field"
            rows={1}
            maxLength={TEXT_MAX}
            placeholder="Write to everybody"
            aria-label="Write to everybody"
            value={draft}
            data-testid="chat-input"
            onInput={(event) => setDraft(event.currentTarget.value)}
            onKeyDown={onKeyDown}
          />
          <button type="submit" class="icon-button is-send" aria-label="Send" disabled={draft.trim() === ''} data-testid="chat-send">
            <Icon name="send" />
          </button>
        </form>
      ) : (
        <p class="composer-note">You may read but not write here.</p>
      )}
    </Panel>
  );
}

export function PeoplePanel({ call, onCopy, onClose }: { call: Call; onCopy: () => void; onClose: () => void }) {
  const seats = call.seats.value;
  return (
    <Panel title={people(seats.length)} onClose={onClose}>
      <ul class="people" data-testid="people">
        {seats.map((seat) => (
          <li key={seat.sid} class={seat.speaking ? 'is-speaking' : ''} data-testid="person" data-identity={seat.identity}>
            <Face identity={seat.identity} name={seat.name} />
            <span class="people-name">{seat.isLocal ? `${seat.name} (you)` : seat.name}</span>
            <Bars quality={seat.quality} />
            <span class={seat.mic === 'on' ? '' : 'faint'}>
              <Icon name={seat.mic === 'on' ? 'mic' : 'mic-off'} />
              <span class="sr-only">{seat.mic === 'on' ? 'Microphone on' : 'Muted'}</span>
            </span>
            <span class={seat.camera ? '' : 'faint'}>
              <Icon name={seat.camera ? 'camera' : 'camera-off'} />
              <span class="sr-only">{seat.camera ? 'Camera on' : 'Camera off'}</span>
            </span>
          </li>
        ))}
      </ul>
      <div class="panel-foot">
        <button type="button" class="button is-wide" onClick={onCopy}>
          <Icon name="link" />
          Copy the link to this room
        </button>
      </div>
    </Panel>
  );
}

function Panel({ title, onClose, children }: { title: string; onClose: () => void; children: ComponentChildren }) {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus(), []);
  return (
    <aside class="panel" aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        <button type="button" class="icon-button" aria-label={`Close ${title.toLowerCase()}`} data-testid="close-panel" ref={close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </aside>
  );
}

function Said({ message, follows }: { message: Message; follows: boolean }) {
  return (
    <li class={`said ${message.mine ? 'is-mine' : ''} ${follows ? 'is-follow-up' : ''}`} data-testid="chat-message" data-from={message.from} data-state={message.state}>
      {!follows && (
        <p class="said-head">
          <span>{message.mine ? 'You' : message.name}</span>
          <time dateTime={new Date(message.at).toISOString()}>{clock(message.at)}</time>
        </p>
      )}
      <p class="said-text" data-testid="chat-text">
        {linkify(message.text).map((piece, index) =>
          piece.href ? (
            <a key={index} href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
              {piece.text}
            </a>
          ) : (
            piece.text
          ),
        )}
      </p>
      {message.state === 'failed' && <p class="said-failed">Not sent. Check your connection and write it again.</p>}
    </li>
  );
}

function Face({ identity, name }: { identity: string; name: string }) {
  return (
    <span class="avatar is-small" aria-hidden="true" ref={(element) => element?.style.setProperty('--hue', String(hue(identity)))}>
      {initials(name)}
    </span>
  );
}

const FOLLOW_UP_MS = 3 * 60_000;

function isFollowUp(before: Message | undefined, message: Message): boolean {
  return before?.from === message.from && message.at - before.at < FOLLOW_UP_MS;
}
