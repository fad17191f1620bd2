/**
 * Every failure in plain words: what happened, and what the person can do.
 *
 * Errors are recognised by their shape, not by class, so that these functions need no browser.
 */
import { ConnectionErrorReason, DisconnectReason } from 'livekit-client';

export interface Problem {
  title: string;
  hint: string;
  /** What would help: nothing, another try, or a token from whoever runs the server. */
  remedy: 'none' | 'retry' | 'token';
}

export type Device = 'microphone' | 'camera' | 'camera and microphone' | 'screen';

/** Why the server did not give a token. */
export class PassError extends Error {
  constructor(
    readonly reason: 'closed' | 'refused' | 'unreachable' | 'invalid',
    message: string,
  ) {
    super(message);
  }
}

export function explainJoin(error: unknown): Problem {
  if (error instanceof PassError) return PASS[error.reason](error.message);
  switch (connectionReason(error)) {
    case ConnectionErrorReason.NotAllowed:
      if (isMissing(error)) return { title: 'There is no such room', hint: 'Ask for a new link.', remedy: 'none' };
      return {
        title: 'The server refused this token',
        hint: 'It may have expired, or it is for another room. Ask for a new link.',
        remedy: 'token',
      };
    case ConnectionErrorReason.LeaveRequest:
      return leaveContext(error) === DisconnectReason.JOIN_FAILURE
        ? { title: 'This room is full', hint: 'Wait until somebody leaves, then try again.', remedy: 'retry' }
        : { title: 'The server closed the door', hint: explainEnd(leaveContext(error)).title, remedy: 'retry' };
    case ConnectionErrorReason.ServerUnreachable:
    case ConnectionErrorReason.ServiceNotFound:
      return UNREACHABLE;
    case ConnectionErrorReason.WebSocket:
      return {
        title: 'The server did not let you in',
        hint: 'The room may be full, or your network blocks WebSockets.',
        remedy: 'retry',
      };
    case ConnectionErrorReason.Timeout:
      return {
        title: 'The server answers, but sound and pictures do not get through',
        hint: 'A firewall may be in the way. Try another network, or ask whoever runs the server.',
        remedy: 'retry',
      };
    default:
      return { title: 'Joining did not work', hint: messageOf(error), remedy: 'retry' };
  }
}

export function explainDevice(error: unknown, device: Device): Problem {
  switch (nameOf(error)) {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
    case 'SecurityError':
      return device === 'screen'
        ? { title: 'Your screen was not shared', hint: 'The browser or the system did not allow it.', remedy: 'retry' }
        : {
            title: `The browser is not allowed to use your ${device}`,
            hint: 'Allow it with the icon beside the address, then try again.',
            remedy: 'retry',
          };
    case 'NotFoundError':
    case 'OverconstrainedError':
      return { title: `No ${device} was found`, hint: 'You can join without one.', remedy: 'none' };
    case 'NotReadableError':
    case 'AbortError':
      return {
        title: `Your ${device} is in use elsewhere`,
        hint: 'Close the other program that uses it, then try again.',
        remedy: 'retry',
      };
    case 'InsecureContextError':
      return {
        title: 'Browsers give camera and microphone to secure pages only',
        hint: 'Open this page by https:// or on localhost. You can still watch and listen.',
        remedy: 'none',
      };
    case 'PublishTrackError':
      return { title: `You may not share your ${device} here`, hint: 'The room does not allow it.', remedy: 'none' };
    default:
      return { title: `Your ${device} did not start`, hint: messageOf(error), remedy: 'retry' };
  }
}

export interface Ending {
  title: string;
  hint: string;
  again: boolean;
}

export function explainEnd(reason: DisconnectReason | undefined): Ending {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return { title: 'You left', hint: 'The room stays open for the others.', again: true };
    case DisconnectReason.DUPLICATE_IDENTITY:
      return { title: 'You joined from another place', hint: 'This page was replaced by the newer one.', again: true };
    case DisconnectReason.PARTICIPANT_REMOVED:
      return { title: 'You were removed from the room', hint: 'A moderator ended your visit.', again: false };
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return { title: 'The room was closed', hint: 'The call is over for everybody.', again: true };
    case DisconnectReason.SERVER_SHUTDOWN:
      return { title: 'The server is restarting', hint: 'Come back in a moment.', again: true };
    case DisconnectReason.JOIN_FAILURE:
      return { title: 'The server could not let you in', hint: 'Try again in a moment.', again: true };
    default:
      return { title: 'The connection was lost', hint: 'Check your network, then join again.', again: true };
  }
}

const UNREACHABLE: Problem = {
  title: 'The server cannot be reached',
  hint: 'Check your network, then try again.',
  remedy: 'retry',
};

const PASS: Record<PassError['reason'], (message: string) => Problem> = {
  closed: () => ({
    title: 'This server asks for a token',
    hint: 'Paste the one you were given, or open the link it came with.',
    remedy: 'token',
  }),
  refused: (message) => ({ title: 'The server did not give a token', hint: message, remedy: 'retry' }),
  unreachable: () => UNREACHABLE,
  invalid: (message) => ({ title: 'This token cannot be used', hint: message, remedy: 'token' }),
};

function connectionReason(error: unknown): ConnectionErrorReason | undefined {
  if (nameOf(error) !== 'ConnectionError') return undefined;
  return (error as { reason?: ConnectionErrorReason }).reason;
}

function isMissing(error: unknown): boolean {
  return (error as { status?: number }).status === 404;
}

function leaveContext(error: unknown): DisconnectReason | undefined {
  return (error as { context?: DisconnectReason }).context;
}

function nameOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : '';
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return message || 'Try again in a moment.';
}
