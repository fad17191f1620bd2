/**
 * What this browser remembers about its person: a name and which devices to use. Storage may be
 * forbidden or full; then nothing is remembered and nothing fails.
 */

export interface Prefs {
  name: string;
  mic: boolean;
  camera: boolean;
  audioinput: string;
  videoinput: string;
  audiooutput: string;
  /** Single-key shortcuts can be switched off (WCAG 2.1.4). */
  shortcuts: boolean;
}

const KEY = 'sabha.prefs';
const DEFAULTS: Prefs = {
  name: '',
  mic: true,
  camera: true,
  audioinput: '',
  videoinput: '',
  audiooutput: '',
  shortcuts: true,
};

export function prefs(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) };
  } catch {
    return DEFAULTS;
  }
}

export function remember(change: Partial<Prefs>): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...prefs(), ...change }));
  } catch {
    // Not remembered.
  }
}
