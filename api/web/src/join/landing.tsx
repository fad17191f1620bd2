/** The front door: start a room, or go to one. */
import { useState } from 'preact/hooks';
import { newRoomName, ROOM_NAME_MAX, roomFromInput } from '../address';
import { Icon, Mark } from '../ui/icon';

export function Landing({ onRoom }: { onRoom: (room: string) => void }) {
  const [text, setText] = useState('');
  const room = roomFromInput(text);

  const join = (event: Event) => {
    event.preventDefault();
    if (room !== '') onRoom(room);
  };

  return (
    <main class="landing" tabIndex={-1}>
      <div class="landing-words">
        <p class="brand">
          <Mark />
          Sabha
        </p>
        <h1>
          Come together, <em>face to face.</em>
        </h1>
        <p class="lead">A room is a link. Open it, say your name, and talk. No account and nothing to install.</p>
        <div class="landing-doors">
          <button type="button" class="button is-primary" data-testid="create-room" onClick={() => onRoom(newRoomName())}>
            <Icon name="plus" />
            Start a room
          </button>
          <form class="join-row" onSubmit={join}>
            <label class="sr-only" for="room">
              Name of the room, or its link
            </label>
            <input
              id="room"
              class="field"
              placeholder="Room name or link"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              maxLength={ROOM_NAME_MAX * 4}
              value={text}
              data-testid="join-room"
              onInput={(event) => setText(event.currentTarget.value)}
            />
            <button type="submit" class="button" disabled={room === ''} data-testid="enter-room">
              Go in
            </button>
          </form>
        </div>
      </div>
      <Round />
    </main>
  );
}

/** Decoration: people sitting in a round, one of them speaking. */
function Round() {
  return (
    <div class="round" aria-hidden="true">
      {Array.from({ length: 7 }, (_, index) => (
        <span key={index} class={`round-seat seat-${index}`} />
      ))}
      <span class="round-floor" />
    </div>
  );
}
