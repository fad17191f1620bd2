/**
 * Which screen is shown, and the way between them: landing → lobby → call → ended.
 *
 * Invariant: the address bar names the room from the lobby on, so that reload and Back do what
 * people expect.
 */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { type Address, readAddress, roomLink } from './address';
import { Call } from './call/call';
import { CallScreen } from './call/screen';
import { Ended } from './join/ended';
import { Landing } from './join/landing';
import { Lobby, type Visit } from './join/lobby';
import { givenPass, readClaims, requestPass } from './join/pass';
import { Preview } from './join/preview';
import { Toasts } from './ui/toasts';
import { type Ending, explainJoin, type Problem } from './words';

type Screen =
  | { at: 'landing' }
  | { at: 'joining'; room: string }
  | { at: 'lobby'; room: string; token: string; problem: Problem | undefined }
  | { at: 'call'; room: string; call: Call }
  | { at: 'ended'; room: string; ending: Ending };

declare global {
  interface Window {
    /**
     * The connection of the call on screen, for tests, load runs and a developer's console: they
     * read `getStats()`, break connections and send data through the real thing. It gives a page's
     * own scripts nothing they could not build themselves with the token they hold.
     */
    sabha?: { room: Call['room'] };
  }
}

const TOKENS = 'sabha.token/';

export function start(): void {
  const address = readAddress(location.href);
  screen.value = opening(address);
  addEventListener('popstate', () => {
    const shown = screen.value;
    if (shown.at === 'call') void shown.call.leave();
    screen.value = opening(readAddress(location.href));
  });
  if (address.autojoin) void autojoin(address);
}

export function App() {
  const shown = screen.value;
  useEffect(() => {
    document.title = shown.at === 'landing' ? 'Sabha' : `${shown.room} · Sabha`;
  }, [shown]);
  return (
    <>
      {shown.at === 'landing' && <Landing onRoom={goToRoom} />}
      {shown.at === 'joining' && (
        <main class="ended" aria-busy="true">
          <span class="spinner" aria-hidden="true" />
          <h1>Joining {shown.room}…</h1>
        </main>
      )}
      {shown.at === 'lobby' && (
        <Lobby
          key={shown.room}
          room={shown.room}
          token={shown.token}
          suggestedName={readAddress(location.href).name}
          problem={shown.problem}
          onJoin={(visit) => join(shown.room, visit)}
          onBack={goHome}
        />
      )}
      {shown.at === 'call' && <CallScreen call={shown.call} room={shown.room} link={linkTo(shown.room)} />}
      {shown.at === 'ended' && <Ended ending={shown.ending} onAgain={() => goToRoom(shown.room)} onHome={goHome} />}
      <Toasts />
    </>
  );
}

const screen = signal<Screen>({ at: 'landing' });

function opening(address: Address): Screen {
  const claims = readClaims(address.token);
  const room = address.room || claims?.room || '';
  if (room === '') return { at: 'landing' };
  return { at: 'lobby', room, token: keepToken(address, room), problem: undefined };
}

/** A token leaves the address bar, where a shared screen would show it, and survives a reload. */
function keepToken(address: Address, room: string): string {
  if (address.token === '') return sessionStorage.getItem(TOKENS + room) ?? '';
  sessionStorage.setItem(TOKENS + room, address.token);
  const shown = new URL(address.room === '' ? linkTo(room) : location.href);
  shown.hash = '';
  history.replaceState(null, '', shown);
  return address.token;
}

function goToRoom(room: string): void {
  const link = linkTo(room);
  if (link !== location.href) history.pushState(null, '', link);
  screen.value = opening(readAddress(link));
}

function goHome(): void {
  history.pushState(null, '', readAddress(location.href).base);
  screen.value = { at: 'landing' };
}

function linkTo(room: string): string {
  return roomLink(readAddress(location.href).base, room);
}

async function autojoin(address: Address): Promise<void> {
  const shown = screen.value;
  if (shown.at !== 'lobby') return;
  screen.value = { at: 'joining', room: shown.room };
  const preview = new Preview();
  await preview.open({ mic: address.mic, camera: address.camera });
  const outcome = await join(shown.room, { name: address.name || 'Guest', token: shown.token, preview });
  if (outcome === 'refused') preview.close();
}

async function join(room: string, visit: Visit): Promise<'joined' | 'refused'> {
  performance.mark('sabha:join');
  const address = readAddress(location.href);
  const call = new Call({ codec: address.codec, connections: address.connections });
  window.sabha = { room: call.room };
  try {
    const pass = visit.token ? givenPass(address, visit.token, Date.now()) : await requestPass(address, room, visit.name);
    await call.connect(pass);
  } catch (error) {
    const problem = explainJoin(error);
    if (problem.remedy === 'token') sessionStorage.removeItem(TOKENS + room);
    screen.value = { at: 'lobby', room, token: sessionStorage.getItem(TOKENS + room) ?? '', problem };
    return 'refused';
  }
  call.ended.subscribe((ending) => {
    if (ending && isShown(call)) screen.value = { at: 'ended', room, ending };
  });
  const tracks = visit.preview.take();
  screen.value = { at: 'call', room, call };
  void call.publish(tracks);
  return 'joined';
}

function isShown(call: Call): boolean {
  return screen.value.at === 'call' && screen.value.call === call;
}
