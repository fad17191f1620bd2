/**
 * What the address bar says, and links to rooms.
 *
 * A room is `<base>/r/<room>` or `<base>/?room=<room>`; a token may follow as `#token=…`, in the
 * fragment because browsers never send it to a server. The other parameters are for tests and load:
 *
 * - `autojoin=1` joins without the lobby; with `name`, `identity`, `mic=0`, `camera=0`
 * - `codec=vp8|h264|vp9|av1|h265` what the camera is published as
 * - `pc=dual` two peer connections (`/rtc`) instead of one (`/rtc/v1`)
 */

export type Codec = 'vp8' | 'h264' | 'vp9' | 'av1' | 'h265';

export interface Address {
  /** Absolute, ends in `/`; everything of the server is found relative to it. */
  base: string;
  room: string;
  token: string;
  name: string;
  identity: string;
  autojoin: boolean;
  mic: boolean;
  camera: boolean;
  codec: Codec | undefined;
  connections: 'single' | 'dual';
}

/** Higher than any name a person types; the protocol's own limit is 256 bytes. */
export const ROOM_NAME_MAX = 100;

const CODECS: readonly string[] = ['vp8', 'h264', 'vp9', 'av1', 'h265'] satisfies Codec[];

export function readAddress(href: string): Address {
  const url = new URL(href);
  const query = url.searchParams;
  const codec = query.get('codec') ?? '';
  return {
    base: baseOf(url),
    room: (roomInPath(url) ?? query.get('room') ?? '').trim(),
    token: new URLSearchParams(url.hash.slice(1)).get('token') ?? '',
    name: query.get('name') ?? '',
    identity: query.get('identity') ?? '',
    autojoin: query.get('autojoin') === '1',
    mic: query.get('mic') !== '0',
    camera: query.get('camera') !== '0',
    codec: CODECS.includes(codec) ? (codec as Codec) : undefined,
    connections: query.get('pc') === 'dual' ? 'dual' : 'single',
  };
}

export function roomLink(base: string, room: string): string {
  // `.` and `..` mean something in a path, and servers disagree about an encoded slash.
  const plain = !/^\.+$|[/\\%]/.test(room);
  const path = plain ? `r/${encodeURIComponent(room)}` : `?room=${encodeURIComponent(room)}`;
  return new URL(path, base).href;
}

/** People paste the whole link where the name of the room is asked. */
export function roomFromInput(text: string): string {
  const input = text.trim();
  if (!/^https?:\/\//i.test(input) || !URL.canParse(input)) return input.slice(0, ROOM_NAME_MAX);
  return readAddress(input).room || input.slice(0, ROOM_NAME_MAX);
}

/** Where the signalling WebSocket is: the same place, by its own scheme. */
export function signalUrl(base: string): string {
  return base.replace(/^http/i, 'ws');
}

/**
 * A name nobody guesses and everybody can say on the phone, like `kavi-luno-temi`: six syllables
 * from 80 each, 37 bits.
 */
export function newRoomName(random: (below: number) => number = secureRandom): string {
  const consonants = 'bdghjklmnprstvyz';
  const vowels = 'aeiou';
  const syllable = () => consonants.charAt(random(16)) + vowels.charAt(random(5));
  const word = () => syllable() + syllable();
  return `${word()}-${word()}-${word()}`;
}

function secureRandom(below: number): number {
  const [value = 0] = crypto.getRandomValues(new Uint32Array(1));
  return value % below;
}

function roomInPath(url: URL): string | undefined {
  const segment = /\/r\/([^/]+)\/?$/.exec(url.pathname)?.[1];
  if (segment === undefined) return undefined;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // A lone `%` is part of somebody's room name.
  }
}

function baseOf(url: URL): string {
  const path = url.pathname.replace(/\/r\/[^/]*\/?$/, '/').replace(/[^/]*$/, '');
  return url.origin + path;
}
