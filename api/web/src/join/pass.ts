/** Getting a token: from the server in its development mode, or one that somebody was given. */
import { type Address, signalUrl } from '../address';
import { PassError } from '../words';

export interface Pass {
  token: string;
  url: string;
}

/** What a token says of itself. Only the server can know whether it is true. */
export interface Claims {
  room: string;
  name: string;
  identity: string;
  expires: number;
}

export async function requestPass(address: Address, room: string, name: string): Promise<Pass> {
  const identity = address.identity || undefined;
  let response: Response;
  try {
    response = await fetch(new URL('api/token', address.base), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ room, name, identity }),
    });
  } catch {
    throw new PassError('unreachable', 'no answer');
  }
  if ([401, 403, 404, 405].includes(response.status)) throw new PassError('closed', 'no tokens here');
  const body = (await response.json().catch(() => ({}))) as { token?: string; url?: string; message?: string };
  if (!response.ok || !body.token) throw new PassError('refused', body.message ?? `Answer ${response.status}.`);
  return { token: body.token, url: body.url || signalUrl(address.base) };
}

/** A token that came with the link or was pasted. */
export function givenPass(address: Address, text: string, now: number): Pass {
  const token = text.trim();
  const claims = readClaims(token);
  if (!claims) throw new PassError('invalid', 'It is not a whole access token. Copy all of it.');
  if (!claims.room) throw new PassError('invalid', 'It names no room.');
  if (claims.expires * 1000 <= now) throw new PassError('invalid', 'It has expired. Ask for a new one.');
  return { token, url: signalUrl(address.base) };
}

export function readClaims(token: string): Claims | undefined {
  const [, payload, signature] = token.split('.');
  if (!payload || !signature) return undefined;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const video = (claims['video'] ?? {}) as Record<string, unknown>;
    const text = (value: unknown) => (typeof value === 'string' ? value : '');
    return {
      room: text(video['room']),
      name: text(claims['name']),
      identity: text(claims['sub']),
      expires: typeof claims['exp'] === 'number' ? claims['exp'] : Infinity,
    };
  } catch {
    return undefined;
  }
}
