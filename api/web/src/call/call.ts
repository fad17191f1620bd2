/**
 * One visit to one room: owns the connection and turns its events into signals the page draws.
 *
 * Invariant: components read signals and call methods; only this folder listens to the library.
 */
import { computed, signal } from '@preact/signals';
import {
  DisconnectReason,
  type LocalTrack,
  type RemoteTrack,
  type Room as LiveKitRoom,
  Room,
  RoomEvent,
  supportsAV1,
  supportsVP9,
  Track,
  VideoPresets,
} from 'livekit-client';
import type { Codec } from '../address';
import type { Pass } from '../join/pass';
import { prefs, remember } from '../prefs';
import { complain, notify } from '../ui/notices';
import { type Device, type Ending, explainDevice, explainEnd } from '../words';
import { Chat } from './chat';
import { type Kind, refreshDevices, requireDevices } from './devices';
import { type Seat, seatsOf } from './seats';

export interface CallOptions {
  codec: Codec | undefined;
  connections: 'single' | 'dual';
}

/** In larger rooms, comings and goings would be all one hears. */
const ANNOUNCED_MAX = 12;

export class Call {
  readonly room: LiveKitRoom;
  readonly chat: Chat;
  readonly seats = signal<readonly Seat[]>([]);
  readonly link = signal<'up' | 'mending'>('up');
  readonly ended = signal<Ending | undefined>(undefined);
  /** The browser wants a click before it plays sound. */
  readonly silenced = signal(false);
  readonly mayPublish = signal(true);
  readonly mayChat = signal(true);
  readonly sharing = signal(false);
  readonly active = signal<Record<Kind, string>>({ audioinput: '', videoinput: '', audiooutput: '' });
  readonly me = computed(() => this.seats.value.find((seat) => seat.isLocal));
  readonly #voices = new Map<RemoteTrack, HTMLMediaElement>();
  #dirty = false;

  constructor(options: CallOptions) {
    const { audioinput, videoinput, audiooutput } = prefs();
    this.room = new Room({
      adaptiveStream: true,
      dynacast: true,
      singlePeerConnection: options.connections === 'single',
      audioCaptureDefaults: { deviceId: { ideal: audioinput || 'default' } },
      videoCaptureDefaults: { deviceId: { ideal: videoinput || 'default' }, resolution: VideoPresets.h720.resolution },
      publishDefaults: options.codec ? { videoCodec: supported(options.codec) } : {},
      audioOutput: audiooutput ? { deviceId: audiooutput } : {},
    });
    this.chat = new Chat(this.room);
    this.#listen();
  }

  async connect(pass: Pass): Promise<void> {
    await this.room.connect(pass.url, pass.token);
    performance.mark('sabha:connected');
    this.#refresh();
    this.#readDevices();
  }

  /** Publishes what the lobby already captured, so that no device is asked for twice. */
  async publish(tracks: readonly LocalTrack[]): Promise<void> {
    if (!this.mayPublish.value) return tracks.forEach((track) => track.stop());
    const results = await Promise.allSettled(tracks.map((track) => this.room.localParticipant.publishTrack(track)));
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue;
      tracks[index]?.stop();
      this.#complain(result.reason, tracks[index]?.kind === Track.Kind.Video ? 'camera' : 'microphone');
    }
    this.#readDevices();
  }

  async toggleMic(): Promise<void> {
    if (!this.mayPublish.value) return;
    const enabled = !this.room.localParticipant.isMicrophoneEnabled;
    remember({ mic: enabled });
    await this.#try('microphone', () => this.room.localParticipant.setMicrophoneEnabled(enabled));
  }

  async toggleCamera(): Promise<void> {
    if (!this.mayPublish.value) return;
    const enabled = !this.room.localParticipant.isCameraEnabled;
    remember({ camera: enabled });
    await this.#try('camera', () => this.room.localParticipant.setCameraEnabled(enabled));
  }

  async toggleScreen(): Promise<void> {
    if (!this.mayPublish.value) return;
    const enabled = !this.room.localParticipant.isScreenShareEnabled;
    try {
      requireDevices();
      await this.room.localParticipant.setScreenShareEnabled(enabled, { audio: true, selfBrowserSurface: 'exclude' });
    } catch (error) {
      // Closing the browser's own picker is a decision, not a failure.
      if (!(error instanceof Error && error.name === 'NotAllowedError')) this.#complain(error, 'screen');
    }
    this.#touch();
  }

  async choose(kind: Kind, id: string): Promise<void> {
    remember({ [kind]: id });
    const device = kind === 'videoinput' ? 'camera' : 'microphone';
    await this.#try(device, () => this.room.switchActiveDevice(kind, id));
    this.#readDevices();
  }

  async unsilence(): Promise<void> {
    await this.room.startAudio();
  }

  async leave(): Promise<void> {
    await this.room.disconnect();
  }

  #listen(): void {
    const room = this.room;
    for (const event of CHANGES) room.on(event, () => this.#touch());
    room
      .on(RoomEvent.TrackSubscribed, (track) => this.#play(track))
      .on(RoomEvent.TrackUnsubscribed, (track) => this.#silence(track))
      .on(RoomEvent.AudioPlaybackStatusChanged, () => (this.silenced.value = !room.canPlaybackAudio))
      .on(RoomEvent.SignalReconnecting, () => (this.link.value = 'mending'))
      .on(RoomEvent.Reconnecting, () => (this.link.value = 'mending'))
      .on(RoomEvent.Reconnected, () => (this.link.value = 'up'))
      .on(RoomEvent.ActiveDeviceChanged, () => this.#readDevices())
      .on(RoomEvent.Disconnected, (reason) => this.#end(reason))
      .on(RoomEvent.ParticipantConnected, (who) => this.#announce(`${who.name || who.identity} joined`))
      .on(RoomEvent.ParticipantDisconnected, (who) => this.#announce(`${who.name || who.identity} left`))
      .on(RoomEvent.TrackPublished, (publication, who) => {
        if (publication.source === Track.Source.ScreenShare) notify(`${who.name || who.identity} shares a screen`);
      });
  }

  #end(reason: DisconnectReason | undefined): void {
    for (const track of [...this.#voices.keys()]) this.#silence(track);
    this.ended.value = explainEnd(reason);
  }

  /** Sound needs an element in the page but no place in it. */
  #play(track: RemoteTrack): void {
    if (track.kind !== Track.Kind.Audio) return;
    const element = track.attach();
    this.#voices.set(track, element);
    document.body.append(element);
  }

  /** The track may already have let go of its element. */
  #silence(track: RemoteTrack): void {
    track.detach();
    this.#voices.get(track)?.remove();
    this.#voices.delete(track);
  }

  #announce(text: string): void {
    if (this.room.numParticipants <= ANNOUNCED_MAX) notify(text);
  }

  /** Many events arrive together; one look at the room serves them all. */
  #touch(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    queueMicrotask(() => {
      this.#dirty = false;
      this.#refresh();
    });
  }

  #refresh(): void {
    const me = this.room.localParticipant;
    this.seats.value = seatsOf(this.room, this.seats.value);
    this.mayPublish.value = me.permissions?.canPublish ?? true;
    this.mayChat.value = me.permissions?.canPublishData ?? true;
    this.sharing.value = me.isScreenShareEnabled;
  }

  #readDevices(): void {
    const id = (kind: Kind) => this.room.getActiveDevice(kind) ?? 'default';
    this.active.value = { audioinput: id('audioinput'), videoinput: id('videoinput'), audiooutput: id('audiooutput') };
    void refreshDevices();
  }

  async #try(device: Device, action: () => Promise<unknown>): Promise<void> {
    try {
      requireDevices();
      await action();
      this.#readDevices();
    } catch (error) {
      this.#complain(error, device);
    }
    this.#touch();
  }

  #complain(error: unknown, device: Device): void {
    const { title, hint } = explainDevice(error, device);
    complain(`${title}. ${hint}`);
  }
}

function supported(codec: Codec): Codec {
  if (codec === 'av1' && !supportsAV1()) return 'vp8';
  if (codec === 'vp9' && !supportsVP9()) return 'vp8';
  return codec;
}

/** Everything after which a seat may look different. */
const CHANGES = [
  RoomEvent.Connected,
  RoomEvent.Reconnected,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.ParticipantPermissionsChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.TrackStreamStateChanged,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ActiveSpeakersChanged,
  RoomEvent.ConnectionQualityChanged,
] as const;
