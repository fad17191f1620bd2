import { expect, it } from 'vitest';
import { order, type Sitter } from './order';

it('seats newcomers at the end and oneself first', () => {
  const seated = order(['b', 'a'], [sitter('new', { joined: 9 }), sitter('a'), sitter('b'), sitter('me', { isLocal: true })], 9);

  expect(names(seated)).toEqual(['me', 'b', 'a', 'new']);
});

it('moves nobody while everybody who speaks is in sight', () => {
  const seated = order(['a', 'b', 'c'], [sitter('c'), sitter('b', { speaking: true }), sitter('a')], 2);

  expect(names(seated)).toEqual(['a', 'b', 'c']);
});

it('brings a speaker into sight in the place of the one silent longest', () => {
  const seated = order(
    ['a', 'b', 'c', 'd'],
    [sitter('a', { lastSpoke: 5 }), sitter('b', { lastSpoke: 3 }), sitter('c'), sitter('d', { speaking: true, lastSpoke: 9 })],
    2,
  );

  expect(names(seated)).toEqual(['a', 'd', 'c', 'b']);
});

it('leaves places alone when everybody in sight is speaking', () => {
  const seated = order(['a', 'b'], [sitter('a', { speaking: true }), sitter('b', { speaking: true })], 1);

  expect(names(seated)).toEqual(['a', 'b']);
});

function sitter(identity: string, rest: Partial<Sitter> = {}): Sitter {
  return { identity, isLocal: false, speaking: false, lastSpoke: 0, joined: 0, ...rest };
}

function names(seated: readonly Sitter[]): string[] {
  return seated.map((one) => one.identity);
}
