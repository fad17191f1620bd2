/**
 * What the page shows of each participant, as plain values.
 *
 * Invariant: a seat that did not change is the same object as before, so an unchanged tile is not
 * drawn again.
 */
import { ConnectionQuality, type Participant, type Room, Track } from 'livekit-client';
import type { Sitter } from './order';

export type Quality = 'unknown' | 'lost' | 'poor' | 'good' | 'excellent';

export interface Seat extends Sitter {
  sid: string;
  name: string;
  mic: 'on' | 'off';
  quality: Quality;
  /** Attachable picture, or nothing while there is none or it is switched off. */
  camera: Track | undefined;
  screen: Track | undefined;
  /** The server holds the picture back because the path cannot carry it. */
  cameraPaused: boolean;
}

export function seatsOf(room: Room, before: readonly Seat[]): readonly Seat[] {
  const known = new Map(before.map((seat) => [seat.sid, seat]));
  const seats = [room.localParticipant, ...room.remoteParticipants.values()].map((participant) => {
    const seat = seatOf(participant);
    const old = known.get(seat.sid);
    return old && isSame(old, seat) ? old : seat;
  });
  const unchanged = seats.length === before.length && seats.every((seat, index) => seat === before[index]);
  return unchanged ? before : seats;
}

function seatOf(participant: Participant): Seat {
  const camera = participant.getTrackPublication(Track.Source.Camera);
  const screen = participant.getTrackPublication(Track.Source.ScreenShare);
  return {
    sid: participant.sid,
    identity: participant.identity,
    name: participant.name || participant.identity,
    isLocal: participant.isLocal,
    speaking: participant.isSpeaking,
    lastSpoke: participant.lastSpokeAt?.getTime() ?? 0,
    joined: participant.joinedAt?.getTime() ?? 0,
    mic: participant.isMicrophoneEnabled ? 'on' : 'off',
    quality: QUALITY[participant.connectionQuality],
    camera: camera?.isMuted ? undefined : camera?.track,
    screen: screen?.isMuted ? undefined : screen?.track,
    cameraPaused: camera?.track?.streamState === Track.StreamState.Paused,
  };
}

function isSame(a: Seat, b: Seat): boolean {
  return (Object.keys(a) as (keyof Seat)[]).every((key) => a[key] === b[key]);
}

const QUALITY: Record<ConnectionQuality, Quality> = {
  [ConnectionQuality.Excellent]: 'excellent',
  [ConnectionQuality.Good]: 'good',
  [ConnectionQuality.Poor]: 'poor',
  [ConnectionQuality.Lost]: 'lost',
  [ConnectionQuality.Unknown]: 'unknown',
};
