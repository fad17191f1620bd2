import { expect, it } from 'vitest';
import { readAddress } from '../address';
import { givenPass, readClaims } from './pass';

const ADDRESS = readAddress('https://a.example/r/standup');

it('readClaims reads names in any script', () => {
  const token = made({ sub: 'u1', name: 'आशा', exp: 9, video: { room: 'standup' } });

  expect(readClaims(token)).toEqual({ room: 'standup', name: 'आशा', identity: 'u1', expires: 9 });
});

it.each(['', 'abc', 'a.b', 'a.%%%.c', 'a.e30', `a.${btoa('[')}.c`])('readClaims of %j is nothing', (token) => {
  expect(readClaims(token)).toBeUndefined();
});

it('givenPass connects to where the page came from', () => {
  const token = made({ sub: 'u1', exp: 9, video: { room: 'standup' } });

  expect(givenPass(ADDRESS, ` ${token}\n`, 8_999)).toEqual({ token, url: 'wss://a.example/' });
});

it('givenPass says what is wrong before the server is asked', () => {
  expect(() => givenPass(ADDRESS, 'hello', 0)).toThrow(/whole access token/);
  expect(() => givenPass(ADDRESS, made({ sub: 'u1', exp: 9 }), 0)).toThrow(/no room/);
  expect(() => givenPass(ADDRESS, made({ exp: 9, video: { room: 'x' } }), 9_000)).toThrow(/expired/);
});

function made(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
}
