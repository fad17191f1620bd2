/**
 * Camera and microphone before the call: captured once, shown in the lobby, handed to the call.
 *
 * Invariant: a captured track is either held here, or handed over, or stopped.
 */
import { signal } from '@preact/signals';
import { createLocalTracks, type LocalAudioTrack, type LocalTrack, type LocalVideoTrack, Track, VideoPresets } from 'livekit-client';
import { type Kind, refreshDevices, requireDevices } from '../call/devices';
import { prefs, remember } from '../prefs';
import { explainDevice, type Problem } from '../words';

type Source = 'mic' | 'camera';

export class Preview {
  readonly mic = signal<LocalAudioTrack | undefined>(undefined);
  readonly camera = signal<LocalVideoTrack | undefined>(undefined);
  readonly problem = signal<Problem | undefined>(undefined);
  readonly busy = signal(false);
  #closed = false;

  /** One question to the person for both; if one device is missing, the other still works. */
  async open(wanted: { mic: boolean; camera: boolean }): Promise<void> {
    const sources: Source[] = [];
    if (wanted.mic) sources.push('mic');
    if (wanted.camera) sources.push('camera');
    if (sources.length === 0) return refreshDevices();
    this.busy.value = true;
    try {
      await this.#capture(sources);
    } catch (error) {
      if (sources.length === 1 || isRefusal(error)) this.#fail(error, sources);
      else await this.#oneByOne(sources);
    }
    this.busy.value = false;
    await refreshDevices();
  }

  async toggle(source: Source): Promise<void> {
    const held = this[source].value;
    remember({ [source]: !held });
    if (held) {
      held.stop();
      this[source].value = undefined;
      return;
    }
    this.problem.value = undefined;
    await this.open({ mic: source === 'mic', camera: source === 'camera' });
  }

  async choose(kind: Kind, id: string): Promise<void> {
    remember({ [kind]: id });
    if (kind === 'audiooutput') return;
    const source = kind === 'audioinput' ? 'mic' : 'camera';
    try {
      await this[source].value?.setDeviceId(id);
    } catch (error) {
      this.#fail(error, [source]);
    }
  }

  /** The tracks now belong to the caller. */
  take(): LocalTrack[] {
    this.#closed = true;
    const tracks = [this.mic.value, this.camera.value].filter((track) => track !== undefined);
    this.mic.value = undefined;
    this.camera.value = undefined;
    return tracks;
  }

  /** Lets go of every device. */
  close(): void {
    for (const track of this.take()) track.stop();
  }

  async #oneByOne(sources: Source[]): Promise<void> {
    for (const source of sources) {
      try {
        await this.#capture([source]);
      } catch (error) {
        this.#fail(error, [source]);
      }
    }
  }

  async #capture(sources: Source[]): Promise<void> {
    requireDevices();
    const { audioinput, videoinput } = prefs();
    const tracks = await createLocalTracks({
      audio: sources.includes('mic') && { deviceId: { ideal: audioinput || 'default' } },
      video: sources.includes('camera') && {
        deviceId: { ideal: videoinput || 'default' },
        resolution: VideoPresets.h720.resolution,
      },
    });
    for (const track of tracks) {
      if (this.#closed) track.stop();
      else if (track.kind === Track.Kind.Audio) this.mic.value = track as LocalAudioTrack;
      else this.camera.value = track as LocalVideoTrack;
    }
  }

  #fail(error: unknown, sources: Source[]): void {
    const [first] = sources;
    const device = sources.length > 1 ? 'camera and microphone' : first === 'camera' ? 'camera' : 'microphone';
    this.problem.value = explainDevice(error, device);
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof DOMException && ['NotAllowedError', 'InsecureContextError'].includes(error.name);
}
