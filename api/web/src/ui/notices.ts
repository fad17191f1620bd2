/** Short messages that come and go: shown as toasts and spoken by screen readers. */
import { signal } from '@preact/signals';

export interface Notice {
  id: number;
  text: string;
  tone: 'info' | 'error';
  /** Heard, not seen: for what the eye has already noticed. */
  quiet: boolean;
}

export const notices = signal<readonly Notice[]>([]);

const SHOWN_MAX = 3;
const INFO_MS = 4_000;
const ERROR_MS = 9_000;
let count = 0;

export function notify(text: string): void {
  add({ text, tone: 'info', quiet: false }, INFO_MS);
}

export function complain(text: string): void {
  add({ text, tone: 'error', quiet: false }, ERROR_MS);
}

export function whisper(text: string): void {
  add({ text, tone: 'info', quiet: true }, INFO_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

/** Takes away what is no news any more. */
export function settle(): void {
  notices.value = notices.value.filter((notice) => notice.tone === 'error');
}

function add(notice: Omit<Notice, 'id'>, ms: number): void {
  count += 1;
  const id = count;
  notices.value = [...notices.value.slice(1 - SHOWN_MAX), { ...notice, id }];
  setTimeout(() => dismiss(id), ms);
}
