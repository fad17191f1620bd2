import { describe, expect, it } from 'vitest';
import { newRoomName, readAddress, roomFromInput, roomLink, signalUrl } from './address';

describe('readAddress', () => {
  it('finds the room in the path and the base above it', () => {
    const address = readAddress('https://meet.example/r/team%20standup');
    expect(address.room).toBe('team standup');
    expect(address.base).toBe('https://meet.example/');
  });

  it('works under a base path', () => {
    expect(readAddress('https://example.org/call/r/x')).toMatchObject({ base: 'https://example.org/call/', room: 'x' });
    expect(readAddress('https://example.org/call/?room=x')).toMatchObject({ base: 'https://example.org/call/', room: 'x' });
    expect(readAddress('https://example.org/call/index.html').base).toBe('https://example.org/call/');
  });

  it('takes a token from the fragment only', () => {
    expect(readAddress('https://a.example/?room=x#token=abc.def').token).toBe('abc.def');
    expect(readAddress('https://a.example/?room=x&token=abc').token).toBe('');
  });

  it('survives a room name that is not valid percent-encoding', () => {
    expect(readAddress('https://a.example/r/50%').room).toBe('50%');
  });

  it('reads the options for tests', () => {
    const address = readAddress('https://a.example/r/x?autojoin=1&name=Asha&camera=0&codec=h264&pc=dual');
    expect(address).toMatchObject({ autojoin: true, name: 'Asha', mic: true, camera: false, codec: 'h264', connections: 'dual' });
    expect(readAddress('https://a.example/r/x?codec=<script>').codec).toBeUndefined();
  });
});

describe('roomLink', () => {
  it.each(['standup', 'team standup', 'सभा', 'a/b', '..', '100%', 'a?b#c', '\\'])('leads back to %s', (room) => {
    expect(readAddress(roomLink('https://a.example/call/', room))).toMatchObject({ room, base: 'https://a.example/call/' });
  });
});

describe('roomFromInput', () => {
  it('takes a name or a pasted link', () => {
    expect(roomFromInput('  standup ')).toBe('standup');
    expect(roomFromInput('https://meet.example/r/standup?x=1')).toBe('standup');
  });
});

it('signalUrl keeps host and base path', () => {
  expect(signalUrl('https://a.example/call/')).toBe('wss://a.example/call/');
  expect(signalUrl('http://localhost:7880/')).toBe('ws://localhost:7880/');
});

it('newRoomName is three pronounceable words', () => {
  expect(newRoomName(() => 0)).toBe('baba-baba-baba');
  expect(newRoomName()).toMatch(/^([a-z]{4}-){2}[a-z]{4}$/);
});
