/** Small pieces of text and colour made from data. */

/** One or two letters for a face that is not shown; works for any script. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => firstLetter(word ?? ''));
  return letters.join('').toLocaleUpperCase() || '?';
}

/** A place on the colour circle that is always the same for the same person. */
export function hue(identity: string): number {
  let hash = 2166136261; // FNV-1a: spreads names that differ in one letter.
  for (const character of identity) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % 360;
}

export function clock(at: number, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' }).format(at);
}

export function people(count: number): string {
  return count === 1 ? '1 person' : `${count} people`;
}

export interface Piece {
  text: string;
  href?: string;
}

/** Splits a message at its web addresses. Only http and https become links. */
export function linkify(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"']+/giu)) {
    const href = match[0].replace(/[.,;:!?)\]}]+$/u, ''); // Punctuation after a link is the sentence's.
    if (!URL.canParse(href)) continue;
    if (match.index > end) pieces.push({ text: text.slice(end, match.index) });
    pieces.push({ text: href, href });
    end = match.index + href.length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end) });
  return pieces;
}

function firstLetter(word: string): string {
  const [first] = new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(word);
  return first?.segment ?? '';
}
