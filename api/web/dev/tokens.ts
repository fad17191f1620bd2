/**
 * `POST /api/token` for `vite` and `vite preview`: what the server answers in its development mode,
 * so that the page can be worked on against any LiveKit-compatible server. Not part of the build.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';

const KEY = process.env['SABHA_KEY'] ?? 'devkey';
const SECRET = process.env['SABHA_SECRET'] ?? 'secret';
const LIFETIME_S = 6 * 60 * 60;
const BODY_MAX = 4096;

export function devTokens(): Plugin {
  const serve = (server: { middlewares: Connect.Server }) => {
    server.middlewares.use('/api/token', (request, response) => void answer(request, response));
  };
  return { name: 'dev-tokens', configureServer: serve, configurePreviewServer: serve };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') return reply(response, 405, { message: 'POST only' });
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > BODY_MAX) return reply(response, 413, { message: 'too long' });
  }
  const asked = JSON.parse(body) as { room: string; name?: string; identity?: string };
  const identity = asked.identity || `guest-${randomBytes(6).toString('hex')}`;
  const token = sign({
    iss: KEY,
    sub: identity,
    name: asked.name,
    nbf: Math.floor(Date.now() / 1000) - 10,
    exp: Math.floor(Date.now() / 1000) + LIFETIME_S,
    video: { roomJoin: true, room: asked.room, canPublish: true, canSubscribe: true, canPublishData: true },
  });
  reply(response, 200, { token, room: asked.room, identity });
}

function sign(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
