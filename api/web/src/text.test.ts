import { describe, expect, it } from 'vitest';
import { hue, initials, linkify, people } from './text';

it.each([
  ['Asha Rao', 'AR'],
  ['asha', 'A'],
  ['Asha Devi Rao', 'AR'],
  ['सभा कक्ष', 'सक'],
  ['  ', '?'],
])('initials of %s', (name, expected) => {
  expect(initials(name)).toBe(expected);
});

it('hue is steady and differs between near names', () => {
  expect(hue('guest-1')).toBe(hue('guest-1'));
  expect(hue('guest-1')).not.toBe(hue('guest-2'));
});

it('people counts in words', () => {
  expect(people(1)).toBe('1 person');
  expect(people(3)).toBe('3 people');
});

describe('linkify', () => {
  it('finds links and leaves the sentence its punctuation', () => {
    expect(linkify('see https://a.example/x, or (http://b.example).')).toEqual([
      { text: 'see ' },
      { text: 'https://a.example/x', href: 'https://a.example/x' },
      { text: ', or (' },
      { text: 'http://b.example', href: 'http://b.example' },
      { text: ').' },
    ]);
  });

  it.each(['javascript:alert(1)', 'data:text/html,x', '<img src=x onerror=alert(1)>', 'http://'])('makes no link of %s', (text) => {
    expect(linkify(text)).toEqual([{ text }]);
  });
});
