import { ConnectionError, DisconnectReason } from 'livekit-client';
import { describe, expect, it } from 'vitest';
import { explainDevice, explainEnd, explainJoin, PassError } from './words';

describe('explainJoin', () => {
  it.each([
    [ConnectionError.notAllowed('no', 401), /refused this token/, 'token'],
    [ConnectionError.notAllowed('requested room does not exist', 404), /no such room/, 'none'],
    [ConnectionError.websocket('500'), /did not let you in/, 'retry'],
    [ConnectionError.leaveRequest('leave', DisconnectReason.JOIN_FAILURE), /full/, 'retry'],
    [ConnectionError.serverUnreachable('gone'), /cannot be reached/, 'retry'],
    [ConnectionError.timeout('slow'), /do not get through/, 'retry'],
    [new PassError('closed', ''), /asks for a token/, 'token'],
    [new PassError('unreachable', ''), /cannot be reached/, 'retry'],
    [new Error('odd'), /did not work/, 'retry'],
    [undefined, /did not work/, 'retry'],
  ] as const)('%s', (error, title, remedy) => {
    expect(explainJoin(error)).toMatchObject({ title: expect.stringMatching(title), remedy });
  });

});

it.each([
  ['NotAllowedError', /not allowed to use your camera/],
  ['NotFoundError', /No camera/],
  ['NotReadableError', /in use/],
  ['InsecureContextError', /secure pages/],
  ['SomethingElse', /did not start/],
])('explainDevice %s', (name, title) => {
  expect(explainDevice(new DOMException('m', name), 'camera').title).toMatch(title);
});

it('explainEnd offers no way back to somebody who was removed', () => {
  expect(explainEnd(DisconnectReason.PARTICIPANT_REMOVED).again).toBe(false);
  expect(explainEnd(DisconnectReason.CLIENT_INITIATED).again).toBe(true);
  expect(explainEnd(undefined).title).toMatch(/lost/);
});
