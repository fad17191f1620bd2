// One person in a browser: the verbs of the journeys over `livekit-client`, inside the page.
//
// Every verb takes one object and returns one JSON value; what happens by itself goes out through `emit`.
"use strict";

const { Room, RoomEvent, Track, ConnectionState, DisconnectReason } = LivekitClient;

const person = { room: null, joinedAt: 0, rpc: new Map() };
const tell = (event, fields = {}) => globalThis.emit({ event, ...fields });
const names = (kinds) => Object.fromEntries(Object.entries(kinds).map(([k, v]) => [v, k]));
const reasons = names(DisconnectReason);

function listen(room) {
  room
    .on(RoomEvent.ParticipantConnected, (p) => tell("participant_connected", { identity: p.identity }))
    .on(RoomEvent.ParticipantDisconnected, (p) => tell("participant_disconnected", { identity: p.identity }))
    .on(RoomEvent.TrackPublished, (t, p) => tell("track_published", { identity: p.identity, sid: t.trackSid, kind: t.kind, source: t.source }))
    .on(RoomEvent.TrackUnpublished, (t, p) => tell("track_unpublished", { identity: p.identity, sid: t.trackSid }))
    .on(RoomEvent.TrackUnsubscribed, (_, t, p) => tell("track_unsubscribed", { identity: p.identity, sid: t.trackSid }))
    .on(RoomEvent.TrackSubscriptionFailed, (sid, p, why) => tell("subscription_failed", { identity: p.identity, sid, why: String(why) }))
    .on(RoomEvent.TrackSubscriptionPermissionChanged, (t, status, p) => tell("subscription_permission", { identity: p.identity, sid: t.trackSid, status }))
    .on(RoomEvent.TrackMuted, (t, p) => tell("track_muted", { identity: p.identity, sid: t.trackSid }))
    .on(RoomEvent.TrackUnmuted, (t, p) => tell("track_unmuted", { identity: p.identity, sid: t.trackSid }))
    .on(RoomEvent.LocalTrackUnpublished, (t) => tell("local_track_unpublished", { sid: t.trackSid }))
    .on(RoomEvent.LocalTrackSubscribed, (t) => tell("local_track_subscribed", { sid: t.trackSid }))
    .on(RoomEvent.ParticipantMetadataChanged, (_, p) => tell("metadata", { identity: p.identity, metadata: p.metadata ?? "" }))
    .on(RoomEvent.ParticipantNameChanged, (name, p) => tell("name", { identity: p.identity, name }))
    .on(RoomEvent.ParticipantAttributesChanged, (changed, p) => tell("attributes", { identity: p.identity, changed, attributes: p.attributes }))
    .on(RoomEvent.ParticipantPermissionsChanged, (_, p) => tell("permissions", { identity: p.identity, canPublish: !!p.permissions?.canPublish, canSubscribe: !!p.permissions?.canSubscribe }))
    .on(RoomEvent.RoomMetadataChanged, (metadata) => tell("room_metadata", { metadata }))
    .on(RoomEvent.ActiveSpeakersChanged, (speakers) => tell("speakers", { identities: speakers.map((p) => p.identity) }))
    .on(RoomEvent.ConnectionQualityChanged, (quality, p) => tell("quality", { identity: p.identity, quality }))
    .on(RoomEvent.SignalReconnecting, () => tell("resuming"))
    .on(RoomEvent.Reconnecting, () => tell("reconnecting"))
    .on(RoomEvent.Reconnected, () => tell("reconnected"))
    .on(RoomEvent.Disconnected, (reason) => tell("disconnected", { reason: reasons[reason] ?? "UNKNOWN_REASON" }))
    .on(RoomEvent.DataReceived, (bytes, p, kind, topic) =>
      tell("data", { identity: p?.identity ?? "", text: new TextDecoder().decode(bytes), topic: topic ?? "", reliable: kind === 0 }))
    .on(RoomEvent.TrackSubscribed, subscribed);
}

async function subscribed(track, publication, participant) {
  tell("track_subscribed", { identity: participant.identity, sid: publication.trackSid, kind: track.kind, mime: publication.mimeType ?? "" });
  // Sound is decoded when something plays it, pictures always: none is drawn, drawing is what costs most here.
  if (track.kind === "audio") document.body.appendChild(track.attach());
  if (track.kind !== "video") return;
  const frame = await grab(track.mediaStreamTrack);
  if (frame) tell("first_frame", { identity: participant.identity, sid: publication.trackSid, ms: frame.at - person.joinedAt });
}

/** The next decoded frame of a track, as 32x18 pixels. */
async function grab(mediaStreamTrack) {
  const reader = new MediaStreamTrackProcessor({ track: mediaStreamTrack, maxBufferSize: 1 }).readable.getReader();
  const { value: frame } = await reader.read();
  const at = performance.now();
  reader.cancel();
  if (!frame) return null;
  const canvas = new OffscreenCanvas(32, 18).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(frame, 0, 0, 32, 18);
  frame.close();
  return { at, pixels: canvas.getImageData(0, 0, 32, 18).data };
}

/** The subscribed track of a kind (and source) of somebody, once it is there. */
async function trackOf({ from, kind, source }) {
  const find = () => {
    const publications = person.room.remoteParticipants.get(from)?.trackPublications.values() ?? [];
    return [...publications].find((t) => t.track && t.kind === kind && (!source || t.source === source))?.track;
  };
  for (;;) {
    const track = find();
    if (track) return track;
    await within(new Promise((resolve) => person.room.once(RoomEvent.TrackSubscribed, resolve)), () => known());
  }
}

/** Who is there with what, as this person knows it. */
const known = () =>
  [...person.room.remoteParticipants.values()].map((p) => ({
    identity: p.identity,
    tracks: [...p.trackPublications.values()].map((t) => ({ sid: t.trackSid, kind: t.kind, wanted: t.isDesired, subscribed: t.isSubscribed })),
    connections: globalThis.connections.map((c) => `${c.connectionState} ${c.signalingState}`),
  }));

async function inbound(track) {
  const report = await track.receiver.getStats();
  for (const stat of report.values()) {
    if (stat.type !== "inbound-rtp") continue;
    return { ...stat, mime: report.get(stat.codecId)?.mimeType ?? "" };
  }
  return null;
}

const SAMPLE_MS = 150;
/** A wait that is in vain says what it saw before the journey's own deadline ends it. */
const VAIN_MS = 40_000;

/** What `work` waits for, or an error with what `seen` tells when it does not come. */
function within(work, seen) {
  const vain = new Promise((_, fail) => setTimeout(async () => fail(new Error(`waited in vain: ${JSON.stringify(await seen())}`)), VAIN_MS));
  return Promise.race([work, vain]);
}

/** Reads the statistics of a track until `enough` says so: the browser has no event for them. */
async function sample(track, enough) {
  const began = performance.now();
  for (;;) {
    const stat = await inbound(track);
    if (stat && enough(stat)) return stat;
    if (performance.now() - began > VAIN_MS) throw new Error(`not enough came: ${JSON.stringify(stat)}`);
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  }
}

/** Waits until a frame of this width is decoded: sooner than the statistics tell. */
async function sized(track, width) {
  const reader = new MediaStreamTrackProcessor({ track: track.mediaStreamTrack, maxBufferSize: 1 }).readable.getReader();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    const wide = frame.codedWidth;
    frame.close();
    if (wide === width) return void reader.cancel();
  }
}

const difference = (a, b) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0);

const verbs = {
  async join({ url, token, single, options: { secret, ...options } = {}, connect = {} }) {
    const encryption = secret && { keyProvider: new LivekitClient.ExternalE2EEKeyProvider(), worker: new Worker("/e2ee.js") };
    const room = new Room({ singlePeerConnection: single, adaptiveStream: false, dynacast: false, encryption, ...options });
    person.room = room;
    if (secret) {
      await encryption.keyProvider.setKey(secret);
      await room.setE2EEEnabled(true);
    }
    listen(room);
    person.joinedAt = performance.now();
    await room.connect(url, token, connect);
    const ms = performance.now() - person.joinedAt;
    return { sid: room.localParticipant.sid, room: await room.getSid(), ms };
  },

  async leave() {
    await person.room.disconnect();
  },

  async publish_audio() {
    const publication = await person.room.localParticipant.setMicrophoneEnabled(true, { echoCancellation: false, noiseSuppression: false, autoGainControl: false });
    return { sid: publication.trackSid };
  },

  async publish_video({ codec = "vp8", width = 640, height = 360, fps = 30, simulcast = false, bitrate = 1_500_000 }) {
    const publication = await person.room.localParticipant.setCameraEnabled(
      true,
      { resolution: { width, height, frameRate: fps } },
      { videoCodec: codec, simulcast, backupCodec: false, videoEncoding: { maxBitrate: bitrate, maxFramerate: fps }, degradationPreference: "maintain-framerate-and-resolution" },
    );
    return { sid: publication.trackSid };
  },

  async unpublish({ sid }) {
    const publication = person.room.localParticipant.trackPublications.get(sid);
    await person.room.localParticipant.unpublishTrack(publication.track);
  },

  async mute({ sid, muted }) {
    const track = person.room.localParticipant.trackPublications.get(sid).track;
    await (muted ? track.mute() : track.unmute());
  },

  async subscribe({ from, sid, on }) {
    person.room.remoteParticipants.get(from).trackPublications.get(sid).setSubscribed(on);
  },

  /** Waits for `frames` more decoded frames of somebody's video and says how they came. */
  async watch({ from, source, frames }) {
    const track = await trackOf({ from, kind: "video", source });
    const first = await sample(track, (s) => s.framesDecoded > 0);
    const before = await within(grab(track.mediaStreamTrack), () => inbound(track));
    const last = await sample(track, (s) => s.framesDecoded >= first.framesDecoded + frames);
    const after = await within(grab(track.mediaStreamTrack), () => inbound(track));
    const seconds = (last.timestamp - first.timestamp) / 1000;
    return {
      frames: last.framesDecoded - first.framesDecoded,
      fps: (last.framesDecoded - first.framesDecoded) / seconds,
      moved: difference(before.pixels, after.pixels),
      width: last.frameWidth,
      height: last.frameHeight,
      mime: last.mime,
    };
  },

  /** Waits until somebody's picture is so wide. */
  async see_width({ from, source, width }) {
    const track = await trackOf({ from, kind: "video", source });
    const began = performance.now();
    const stat = await sample(track, (s) => s.frameWidth === width);
    return { ms: performance.now() - began, width: stat.frameWidth, frames: stat.framesDecoded, mime: stat.mime };
  },

  /** Asks for a quality and waits until the picture is so wide and moves. */
  async quality({ from, source, quality, width }) {
    const track = await trackOf({ from, kind: "video", source });
    const before = await inbound(track);
    const publication = [...person.room.remoteParticipants.get(from).trackPublications.values()].find((t) => t.track === track);
    publication.setVideoQuality(quality);
    const asked = performance.now();
    await sized(track, width);
    const ms = performance.now() - asked;
    const there = await inbound(track);
    const after = await sample(track, (s) => s.framesDecoded >= there.framesDecoded + 20);
    return {
      ms, width: after.frameWidth, mime: after.mime, key_frames_asked: after.pliCount - before.pliCount,
      frozen: after.totalFreezesDuration - before.totalFreezesDuration, dropped: after.framesDropped - before.framesDropped,
    };
  },

  /** Turns the picture on or off; turned on, waits until it moves. */
  async enable({ from, source, on }) {
    const track = await trackOf({ from, kind: "video", source });
    const publication = [...person.room.remoteParticipants.get(from).trackPublications.values()].find((t) => t.track === track);
    const before = await inbound(track);
    publication.setEnabled(on);
    const asked = performance.now();
    if (on) await sample(track, (s) => s.framesDecoded > before.framesDecoded);
    return { ms: performance.now() - asked };
  },

  /** Waits until so many layers of the camera are sent. */
  async sends_layers({ count }) {
    const began = performance.now();
    for (;;) {
      const reports = await Promise.all(globalThis.connections.map((c) => c.getStats()));
      const layers = reports.flatMap((report) => [...report.values()]).filter((s) => s.type === "outbound-rtp" && s.kind === "video");
      if (layers.filter((s) => s.active).length === count) return { ms: performance.now() - began };
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  },

  /** Waits for `seconds` more of somebody's audio with sound in it. */
  async hear({ from, seconds = 1.5 }) {
    const track = await trackOf({ from, kind: "audio" });
    const first = await sample(track, (s) => s.totalSamplesReceived > 0);
    const last = await sample(track, (s) =>
      s.totalSamplesReceived >= first.totalSamplesReceived + seconds * 48000 && s.totalAudioEnergy > first.totalAudioEnergy);
    return {
      samples: last.totalSamplesReceived - first.totalSamplesReceived,
      energy: last.totalAudioEnergy - first.totalAudioEnergy,
      concealed: last.concealedSamples - last.silentConcealedSamples - first.concealedSamples + first.silentConcealedSamples,
      mime: last.mime,
    };
  },

  /** Waits until so many others are seen, each by `frames` more frames, and heard. */
  async meet({ others, frames }) {
    const read = async () => {
      const reports = await Promise.all(globalThis.connections.map((c) => c.getStats()));
      return reports.flatMap((report) => [...report.values()]).filter((s) => s.type === "inbound-rtp");
    };
    const first = new Map();
    const rates = new Map();
    const heard = new Set();
    while (rates.size < others || heard.size < others) {
      for (const s of await read()) {
        if (s.kind === "audio" && s.totalAudioEnergy > 0) heard.add(s.ssrc);
        if (s.kind !== "video" || !s.framesDecoded) continue;
        if (!first.has(s.ssrc)) first.set(s.ssrc, s);
        const { framesDecoded, timestamp } = first.get(s.ssrc);
        if (s.framesDecoded >= framesDecoded + frames && !rates.has(s.ssrc)) {
          rates.set(s.ssrc, ((s.framesDecoded - framesDecoded) * 1000) / (s.timestamp - timestamp));
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 4 * SAMPLE_MS));
    }
    return { rates: [...rates.values()] };
  },

  /** What somebody's track has received so far; two of these around an event tell what the event cost. */
  async received({ from, kind, source }) {
    const track = await trackOf({ from, kind, source });
    const s = await inbound(track);
    return {
      at: s.timestamp,
      ssrc: s.ssrc,
      packets: s.packetsReceived,
      lost: s.packetsLost,
      frames: s.framesDecoded ?? 0,
      freezes: s.freezeCount ?? 0,
      frozen: s.totalFreezesDuration ?? 0,
      concealed: (s.concealedSamples ?? 0) - (s.silentConcealedSamples ?? 0),
    };
  },

  /** The transports of every open peer connection: ciphers, ICE names and the pair in use. */
  async transports() {
    const found = [];
    for (const connection of globalThis.connections.filter((c) => c.connectionState !== "closed")) {
      const report = await connection.getStats();
      for (const stat of report.values()) {
        if (stat.type !== "transport") continue;
        const pair = report.get(stat.selectedCandidatePairId);
        const local = report.get(pair?.localCandidateId);
        const remote = report.get(pair?.remoteCandidateId);
        found.push({
          srtp: stat.srtpCipher ?? "", tls: stat.tlsVersion ?? "", dtls: stat.dtlsState, ice: stat.iceState,
          ufrag: stat.iceLocalUsernameFragment ?? "", protocol: local?.protocol ?? "", tcp: local?.tcpType ?? "",
          local: local?.address ?? "", localPort: local?.port ?? 0, localType: local?.candidateType ?? "", relay: local?.relayProtocol ?? "", remote: remote?.address ?? "", port: remote?.port ?? 0,
        });
      }
    }
    return found;
  },

  async send({ text, reliable = true, topic, to }) {
    await person.room.localParticipant.publishData(new TextEncoder().encode(text), { reliable, topic, destinationIdentities: to });
  },

  /** Publishes a data track and pushes frames on it until the end: who subscribes gets those after. */
  async publish_data_track({ name, text }) {
    const track = await person.room.localParticipant.publishDataTrack({ name });
    setInterval(() => track.tryPush({ payload: new TextEncoder().encode(text) }), 50);
  },

  /** The next frames of somebody's data track. */
  async read_data_track({ from, name, frames }) {
    const track = await person.room.remoteParticipants.get(from).dataTracks.getDeferred(name);
    const reader = track.subscribe().getReader();
    const texts = [];
    while (texts.length < frames) texts.push(new TextDecoder().decode((await reader.read()).value.payload));
    await reader.cancel();
    return texts;
  },

  async listen_text({ topic }) {
    person.room.registerTextStreamHandler(topic, async (reader, { identity }) => tell("text", { identity, topic, text: await reader.readAll() }));
  },

  async send_text({ topic, text, to }) {
    await person.room.localParticipant.sendText(text, { topic, destinationIdentities: to });
  },

  async answer_rpc({ method }) {
    person.room.registerRpcMethod(method, async (call) => `${call.callerIdentity} said ${call.payload}`);
  },

  async rpc({ to, method, payload }) {
    return person.room.localParticipant.performRpc({ destinationIdentity: to, method, payload });
  },

  async set({ name, metadata, attributes }) {
    const me = person.room.localParticipant;
    if (name !== undefined) await me.setName(name);
    if (metadata !== undefined) await me.setMetadata(metadata);
    if (attributes !== undefined) await me.setAttributes(attributes);
  },

  async allow({ all, permissions = [] }) {
    person.room.localParticipant.setTrackSubscriptionPermissions(all, permissions);
  },

  async people() {
    return [...person.room.remoteParticipants.values()].map((p) => ({
      identity: p.identity, sid: p.sid, name: p.name ?? "", metadata: p.metadata ?? "", attributes: p.attributes,
      tracks: [...p.trackPublications.values()].map((t) => ({ sid: t.trackSid, kind: t.kind, source: t.source, muted: t.isMuted, mime: t.mimeType ?? "" })),
    }));
  },

  async room() {
    return { metadata: person.room.metadata ?? "", participants: person.room.numParticipants, state: person.room.state };
  },

  async simulate({ scenario }) {
    await person.room.simulateScenario(scenario);
  },
};

globalThis.ask = (verb, args) => {
  const run = verbs[verb];
  if (!run) throw new Error(`a browser page does not know how to ${verb}`);
  return run(args);
};
