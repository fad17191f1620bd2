import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { licenses } from './dev/licenses';
import { devTokens } from './dev/tokens';

/**
 * The server the development page talks to. Production needs no such setting: the page and the
 * server are one origin.
 */
const SERVER = process.env['SABHA_URL'] ?? 'http://localhost:7880';

export default defineConfig({
  // Relative, so that one build works under any base path.
  base: './',
  plugins: [roomPages(), licenses(), devTokens()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // A data: URL would need a hole in the content security policy.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700, // The media library is one piece.
    rollupOptions: {
      output: {
        // The media library changes with its releases, our code with ours: browsers keep the former.
        manualChunks: { livekit: ['livekit-client'] },
      },
    },
  },
  server: {
    proxy: { '/rtc': { target: SERVER, ws: true }, '/twirp': SERVER },
  },
  preview: {
    headers: { 'content-security-policy': contentSecurityPolicy() },
    proxy: { '/rtc': { target: SERVER, ws: true } },
  },
  test: { include: ['src/**/*.test.ts'] },
});

/** What the page needs and no more; the server sends the same line. */
function contentSecurityPolicy(): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "media-src 'self' blob:",
    "connect-src 'self' ws: wss:",
    "worker-src 'self' blob:",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/**
 * A room's link is `<base>/r/<room>`, one level below the assets. The same page is therefore
 * written twice, the second time as `r/index.html` with paths that climb one level.
 */
function roomPages(): Plugin {
  return {
    name: 'room-pages',
    enforce: 'post',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.startsWith('/r/')) request.url = '/index.html';
        next();
      });
    },
    configurePreviewServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.startsWith('/r/')) request.url = '/r/index.html';
        next();
      });
    },
    generateBundle(_options, bundle) {
      const page = bundle['index.html'];
      if (page?.type !== 'asset') return;
      const source = String(page.source).replaceAll('="./', '="../');
      this.emitFile({ type: 'asset', fileName: 'r/index.html', source });
    },
  };
}
