// People on the Node SDK (`@livekit/rtc-node`), several in one process, driven through the line protocol.
import {
  AudioFrame, AudioSource, AudioStream, DisconnectReason, LocalAudioTrack, LocalVideoTrack, Room, RoomEvent, TrackKind,
  TrackPublishOptions, TrackSource, VideoBufferType, VideoCodec, VideoFrame, VideoSource, VideoStream, dispose,
} from "@livekit/rtc-node";
import { say, serve } from "./lines.mjs";

const people = new Map();
const kinds = { [TrackKind.KIND_AUDIO]: "audio", [TrackKind.KIND_VIDEO]: "video" };
const scenarios = { "signal-reconnect": 0, "node-failure": 2, "server-leave": 3, migration: 4, "full-reconnect": 7 };

function listen(who, room) {
  const tell = (event, fields = {}) => say({ event, who, ...fields });
  room
    .on(RoomEvent.ParticipantConnected, (p) => tell("participant_connected", { identity: p.identity }))
    .on(RoomEvent.ParticipantDisconnected, (p) => tell("participant_disconnected", { identity: p.identity }))
    .on(RoomEvent.TrackPublished, (t, p) => tell("track_published", { identity: p.identity, sid: t.sid, kind: kinds[t.kind] }))
    .on(RoomEvent.TrackUnpublished, (t, p) => tell("track_unpublished", { identity: p.identity, sid: t.sid }))
    .on(RoomEvent.TrackSubscribed, (_, t, p) => tell("track_subscribed", { identity: p.identity, sid: t.sid, kind: kinds[t.kind], mime: t.mimeType ?? "" }))
    .on(RoomEvent.TrackUnsubscribed, (_, t, p) => tell("track_unsubscribed", { identity: p.identity, sid: t.sid }))
    .on(RoomEvent.TrackSubscriptionFailed, (sid, p, why) => tell("subscription_failed", { identity: p.identity, sid, why: why ?? "" }))
    .on(RoomEvent.TrackMuted, (t, p) => tell("track_muted", { identity: p.identity, sid: t.sid }))
    .on(RoomEvent.TrackUnmuted, (t, p) => tell("track_unmuted", { identity: p.identity, sid: t.sid }))
    .on(RoomEvent.LocalTrackSubscribed, (t) => tell("local_track_subscribed", { sid: t.sid }))
    .on(RoomEvent.ParticipantMetadataChanged, (metadata, p) => tell("metadata", { identity: p.identity, metadata: metadata ?? "" }))
    .on(RoomEvent.ParticipantNameChanged, (name, p) => tell("name", { identity: p.identity, name }))
    .on(RoomEvent.ParticipantAttributesChanged, (changed, p) => tell("attributes", { identity: p.identity, changed, attributes: p.attributes }))
    .on(RoomEvent.RoomMetadataChanged, (metadata) => tell("room_metadata", { metadata }))
    .on(RoomEvent.ActiveSpeakersChanged, (speakers) => tell("speakers", { identities: speakers.map((p) => p.identity) }))
    .on(RoomEvent.Reconnecting, () => tell("reconnecting"))
    .on(RoomEvent.Reconnected, () => tell("reconnected"))
    .on(RoomEvent.Disconnected, (reason) => tell("disconnected", { reason: DisconnectReason[reason] ?? "UNKNOWN_REASON" }))
    .on(RoomEvent.DataReceived, (bytes, p, kind, topic) =>
      tell("data", { identity: p?.identity ?? "", text: new TextDecoder().decode(bytes), topic: topic ?? "", reliable: kind === 1 }));
}

/** A picture whose bright bar wanders, so that frames differ and stay cheap to make. */
function picture(width, height, turn) {
  const data = new Uint8Array((width * height * 3) / 2).fill(128);
  data.fill(60, 0, width * height);
  const bar = (turn * 4) % (height - 16);
  data.fill(220, bar * width, (bar + 16) * width);
  return new VideoFrame(data, width, height, VideoBufferType.I420);
}

function film({ width, height, fps }, source) {
  let turn = 0;
  const timer = setInterval(() => {
    if (source.closed) return clearInterval(timer);
    source.captureFrame(picture(width, height, turn++));
  }, 1000 / fps);
  return () => clearInterval(timer);
}

async function sing(source, going) {
  for (let at = 0; going(); at += 480) {
    const samples = Int16Array.from({ length: 480 }, (_, i) => 12000 * Math.sin((2 * Math.PI * 440 * (at + i)) / 48000));
    await source.captureFrame(new AudioFrame(samples, 48000, 1, 480)).catch(() => {});
  }
}

function trackOf(room, { from, kind }) {
  const publications = room.remoteParticipants.get(from)?.trackPublications.values() ?? [];
  const found = [...publications].find((t) => t.track && kinds[t.kind] === kind);
  if (found) return { track: found.track, mime: found.mimeType ?? "" };
  return new Promise((resolve) => room.once(RoomEvent.TrackSubscribed, () => resolve(trackOf(room, { from, kind }))));
}

const verbs = {
  async join(person, { url, token, single, connect = {} }, who) {
    const room = new Room();
    Object.assign(person, { room, stops: [] });
    listen(who, room);
    const start = performance.now();
    const options = { autoSubscribe: connect.autoSubscribe ?? true, dynacast: false };
    if (single !== undefined && single !== null) options.singlePeerConnection = single;
    await room.connect(url, token, options);
    const ms = performance.now() - start;
    return { sid: room.localParticipant.sid, room: await room.getSid(), ms };
  },
  async leave(person, _, who) {
    people.delete(who);
    person.stops.forEach((stop) => stop());
    await person.room.disconnect();
  },
  async publish_audio({ room, stops }) {
    const source = new AudioSource(48000, 1);
    let going = true;
    stops.push(() => (going = false));
    sing(source, () => going);
    const track = LocalAudioTrack.createAudioTrack("tone", source);
    const publication = await room.localParticipant.publishTrack(track, new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }));
    return { sid: publication.sid };
  },
  async publish_video({ room, stops }, { codec = "vp8", width = 640, height = 360, fps = 20, simulcast = false }) {
    const source = new VideoSource(width, height);
    stops.push(film({ width, height, fps }, source));
    const track = LocalVideoTrack.createVideoTrack("bar", source);
    const videoCodec = VideoCodec[codec.toUpperCase()];
    const publication = await room.localParticipant.publishTrack(track, new TrackPublishOptions({ source: TrackSource.SOURCE_CAMERA, videoCodec, simulcast }));
    return { sid: publication.sid };
  },
  unpublish: ({ room }, { sid }) => room.localParticipant.unpublishTrack(sid),
  async watch({ room }, { from, frames }) {
    const { track, mime } = await trackOf(room, { from, kind: "video" });
    const stream = new VideoStream(track).getReader();
    const seen = { frames: 0, moved: 0, width: 0, height: 0, mime };
    let start = 0, before;
    while (seen.frames <= frames) {
      const { value, done } = await stream.read();
      if (done) throw new Error(`the video of ${from} ended after ${seen.frames} frames`);
      const { data, width, height } = value.frame;
      const dots = Uint8Array.from({ length: (width * height) / 97 }, (_, i) => data[i * 97]);
      if (before?.length === dots.length) seen.moved += dots.reduce((sum, v, i) => sum + Math.abs(v - before[i]), 0);
      before = dots;
      start ||= performance.now();
      Object.assign(seen, { width, height, frames: seen.frames + 1 });
    }
    const seconds = (performance.now() - start) / 1000;
    stream.cancel();
    return { ...seen, frames, fps: frames / seconds };
  },
  async hear({ room }, { from, seconds = 1.5 }) {
    const { track, mime } = await trackOf(room, { from, kind: "audio" });
    const stream = new AudioStream(track, 48000, 1).getReader();
    let samples = 0, energy = 0;
    while (samples < seconds * 48000 || energy <= 0.001) {
      const { value, done } = await stream.read();
      if (done) throw new Error(`the audio of ${from} ended`);
      samples += value.data.length;
      for (const v of value.data) energy += ((v / 32768) ** 2) / 48000;
    }
    stream.cancel();
    return { samples, energy, mime };
  },
  send: ({ room }, { text, reliable = true, topic, to }) =>
    room.localParticipant.publishData(new TextEncoder().encode(text), { reliable, topic, destination_identities: to }),
  async listen_text({ room }, { topic }, who) {
    room.registerTextStreamHandler(topic, async (reader, { identity }) => say({ event: "text", who, identity, topic, text: await reader.readAll() }));
  },
  async send_text({ room }, { topic, text, to }) {
    await room.localParticipant.sendText(text, { topic, destinationIdentities: to });
  },
  async answer_rpc({ room }, { method }) {
    room.localParticipant.registerRpcMethod(method, async (call) => `${call.callerIdentity} said ${call.payload}`);
  },
  rpc: ({ room }, { to, method, payload }) => room.localParticipant.performRpc({ destinationIdentity: to, method, payload }),
  async set({ room }, { name, metadata, attributes }) {
    if (name !== undefined) await room.localParticipant.updateName(name);
    if (metadata !== undefined) await room.localParticipant.updateMetadata(metadata);
    if (attributes !== undefined) await room.localParticipant.setAttributes(attributes);
  },
  async people({ room }) {
    return [...room.remoteParticipants.values()].map((p) => ({
      identity: p.identity, sid: p.sid, name: p.name ?? "", metadata: p.metadata ?? "", attributes: p.attributes,
      tracks: [...p.trackPublications.values()].map((t) => ({ sid: t.sid, kind: kinds[t.kind], muted: !!t.muted, mime: t.mimeType ?? "" })),
    }));
  },
  simulate: ({ room }, { scenario }) => room.simulateScenario(scenarios[scenario]),
};

await serve(
  async ({ who, do: verb, args = {} }) => {
    if (!verbs[verb]) throw new Error(`the Node SDK does not know how to ${verb}`);
    if (!people.has(who)) people.set(who, { stops: [] });
    return verbs[verb](people.get(who), args, who);
  },
  () => dispose(),
);
