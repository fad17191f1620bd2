/**
 * Who sits where.
 *
 * Invariant: places change only when they must. Newcomers sit at the end; somebody who speaks out
 * of sight changes places with the one in sight who has been silent longest. One's own tile is first.
 */

export interface Sitter {
  identity: string;
  isLocal: boolean;
  speaking: boolean;
  /** Milliseconds since the epoch; 0 for somebody who has not spoken. */
  lastSpoke: number;
  joined: number;
}

export function order<S extends Sitter>(previous: readonly string[], sitters: readonly S[], inSight: number): S[] {
  const place = new Map(previous.map((identity, index) => [identity, index]));
  const placeOf = (sitter: S) => (sitter.isLocal ? -1 : (place.get(sitter.identity) ?? previous.length));
  const seated = [...sitters].sort((a, b) => placeOf(a) - placeOf(b) || a.joined - b.joined);

  for (let index = Math.max(inSight, 1); index < seated.length; index += 1) {
    const speaker = seated[index];
    if (!speaker?.speaking) continue;
    const free = quietest(seated, inSight);
    const sitter = free === undefined ? undefined : seated[free];
    if (free === undefined || !sitter) break;
    seated[free] = speaker;
    seated[index] = sitter;
  }
  return seated;
}

function quietest(seated: readonly Sitter[], inSight: number): number | undefined {
  let found: number | undefined;
  let since = Infinity;
  for (const [index, sitter] of seated.slice(0, inSight).entries()) {
    if (sitter.isLocal || sitter.speaking || sitter.lastSpoke >= since) continue;
    found = index;
    since = sitter.lastSpoke;
  }
  return found;
}
