/** Which microphones, cameras and speakers there are. One list for the lobby and the call. */
import { signal } from '@preact/signals';
import { Room } from 'livekit-client';

export type Kind = 'audioinput' | 'videoinput' | 'audiooutput';
export const KINDS: readonly Kind[] = ['audioinput', 'videoinput', 'audiooutput'];

export interface Choice {
  id: string;
  label: string;
}

export const devices = signal<Record<Kind, readonly Choice[]>>({ audioinput: [], videoinput: [], audiooutput: [] });

/** Only Chromium and Firefox let a page choose the speaker. */
export const CAN_CHOOSE_SPEAKER = typeof HTMLMediaElement !== 'undefined' && 'setSinkId' in HTMLMediaElement.prototype;

/** Names are empty until the person has allowed the first device; call again then. */
export async function refreshDevices(): Promise<void> {
  if (!navigator.mediaDevices) return;
  const [audioinput, videoinput, audiooutput] = await Promise.all(KINDS.map(list));
  devices.value = { audioinput: audioinput ?? [], videoinput: videoinput ?? [], audiooutput: audiooutput ?? [] };
}

if (typeof navigator !== 'undefined') {
  navigator.mediaDevices?.addEventListener('devicechange', () => void refreshDevices());
}

/** Browsers hide their devices from pages that are not secure; the library would only throw a TypeError. */
export function requireDevices(): void {
  if (!navigator.mediaDevices) throw new DOMException('not a secure context', 'InsecureContextError');
}

async function list(kind: Kind): Promise<Choice[]> {
  const found = await Room.getLocalDevices(kind, false);
  return found
    .filter((device) => device.deviceId !== '')
    .map((device, index) => ({ id: device.deviceId, label: device.label || `${FALLBACK[kind]} ${index + 1}` }));
}

const FALLBACK: Record<Kind, string> = { audioinput: 'Microphone', videoinput: 'Camera', audiooutput: 'Speaker' };
