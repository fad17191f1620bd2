/**
 * The messages of one call.
 *
 * Sent as text streams on the topic `lk.chat`, which is what LiveKit's own components and agents
 * speak; messages of the older chat packet are understood too. Nothing is stored: who comes later
 * sees what is said from then on.
 */
import { computed, signal } from '@preact/signals';
import { type Room, RoomEvent } from 'livekit-client';

export interface Message {
  id: string;
  from: string;
  name: string;
  mine: boolean;
  text: string;
  at: number;
  state: 'sending' | 'sent' | 'failed';
}

const TOPIC = 'lk.chat';

/** A screen shows some thirty; older ones would only cost memory. */
const MESSAGES_MAX = 500;

/** Longer texts belong in a file. */
export const TEXT_MAX = 4_000;

export class Chat {
  readonly messages = signal<readonly Message[]>([]);
  readonly read = signal(0);
  readonly received = signal(0);
  readonly unread = computed(() => this.received.value - this.read.value);
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
    room.registerTextStreamHandler(TOPIC, (reader, sender) => {
      void reader.readAll().then((text) => this.#receive(reader.info.id, sender.identity, text, reader.info.timestamp));
    });
    room.on(RoomEvent.ChatMessage, (message, sender) => {
      if (sender && !sender.isLocal) this.#receive(message.id, sender.identity, message.message, message.timestamp);
    });
  }

  async send(input: string): Promise<void> {
    const text = input.trim().slice(0, TEXT_MAX);
    if (text === '') return;
    const me = this.#room.localParticipant;
    const id = crypto.randomUUID();
    this.#add({ id, from: me.identity, name: me.name || me.identity, mine: true, text, at: Date.now(), state: 'sending' });
    try {
      await me.sendText(text, { topic: TOPIC });
      this.#mark(id, 'sent');
    } catch {
      this.#mark(id, 'failed');
    }
  }

  markRead(): void {
    this.read.value = this.received.value;
  }

  #receive(id: string, from: string, text: string, at: number): void {
    if (this.messages.value.some((message) => message.id === id)) return;
    const name = this.#room.remoteParticipants.get(from)?.name || from;
    this.#add({ id, from, name, mine: false, text: text.slice(0, TEXT_MAX), at: Math.min(at, Date.now()), state: 'sent' });
    this.received.value += 1;
  }

  #add(message: Message): void {
    this.messages.value = [...this.messages.value.slice(1 - MESSAGES_MAX), message];
  }

  #mark(id: string, state: Message['state']): void {
    this.messages.value = this.messages.value.map((message) => (message.id === id ? { ...message, state } : message));
  }
}
