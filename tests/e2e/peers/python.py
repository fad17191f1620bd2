"""People on the Python SDK (`livekit`), several in one process, driven through the line protocol of `lines.mjs`."""

import asyncio
import json
import math
import sys
import time
from array import array

from google.protobuf.json_format import MessageToDict
from livekit import rtc
from livekit.rtc._proto.room_pb2 import SimulateScenarioKind

people = {}
KINDS = {rtc.TrackKind.KIND_AUDIO: "audio", rtc.TrackKind.KIND_VIDEO: "video"}
CODECS = {"vp8": rtc.VideoCodec.VP8, "h264": rtc.VideoCodec.H264}
SCENARIOS = {"signal-reconnect": "SIMULATE_SIGNAL_RECONNECT", "full-reconnect": "SIMULATE_FULL_RECONNECT"}


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Person:
    """One identity in one room."""

    def __init__(self, who):
        self.who = who
        self.room = rtc.Room()
        self.going = set()
        self.data_tracks = {}

    def tell(self, event, **fields):
        say({"event": event, "who": self.who, **fields})

    def start(self, work):
        task = asyncio.ensure_future(work)
        self.going.add(task)
        task.add_done_callback(self.going.discard)

    def listen(self):
        on, tell = self.room.on, self.tell
        on("participant_connected", lambda p: tell("participant_connected", identity=p.identity))
        on("participant_disconnected", lambda p: tell("participant_disconnected", identity=p.identity))
        on("track_published", lambda t, p: tell("track_published", identity=p.identity, sid=t.sid, kind=KINDS[t.kind]))
        on("track_unpublished", lambda t, p: tell("track_unpublished", identity=p.identity, sid=t.sid))
        on("track_subscribed", lambda _, t, p: tell("track_subscribed", identity=p.identity, sid=t.sid, kind=KINDS[t.kind], mime=t.mime_type))
        on("track_unsubscribed", lambda _, t, p: tell("track_unsubscribed", identity=p.identity, sid=t.sid))
        on("track_subscription_failed", lambda p, sid, why: tell("subscription_failed", identity=p.identity, sid=sid, why=str(why)))
        on("track_muted", lambda p, t: tell("track_muted", identity=p.identity, sid=t.sid))
        on("track_unmuted", lambda p, t: tell("track_unmuted", identity=p.identity, sid=t.sid))
        on("local_track_subscribed", lambda t: tell("local_track_subscribed", sid=t.sid))
        on("participant_metadata_changed", lambda p, old, new: tell("metadata", identity=p.identity, metadata=new))
        on("participant_name_changed", lambda p, old, new: tell("name", identity=p.identity, name=new))
        on("participant_attributes_changed", lambda changed, p: tell("attributes", identity=p.identity, changed=dict(changed), attributes=dict(p.attributes)))
        on("room_metadata_changed", lambda old, new: tell("room_metadata", metadata=new))
        on("active_speakers_changed", lambda speakers: tell("speakers", identities=[p.identity for p in speakers]))
        on("reconnecting", lambda: tell("reconnecting"))
        on("reconnected", lambda: tell("reconnected"))
        on("disconnected", lambda reason: tell("disconnected", reason=rtc.DisconnectReason.Name(reason)))
        on("data_received", self.arrived)
        on("data_track_published", self.data_track)

    def arrived(self, packet):
        sender = packet.participant.identity if packet.participant else ""
        reliable = packet.kind == rtc.DataPacketKind.KIND_RELIABLE
        self.tell("data", identity=sender, text=packet.data.decode(), topic=packet.topic or "", reliable=reliable)

    async def join(self, url, token, single=None, options=None, connect=None):
        self.listen()
        began = time.monotonic()
        options = rtc.RoomOptions(auto_subscribe=(connect or {}).get("autoSubscribe", True), single_peer_connection=single)
        await self.room.connect(url, token, options)
        ms = (time.monotonic() - began) * 1000
        return {"sid": self.room.local_participant.sid, "room": await self.room.sid, "ms": ms}

    async def leave(self):
        people.pop(self.who, None)
        for task in list(self.going):
            task.cancel()
        await self.room.disconnect()

    async def publish_audio(self):
        source = rtc.AudioSource(48000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("tone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        self.start(sing(source))
        return {"sid": publication.sid}

    async def publish_video(self, codec="vp8", width=640, height=360, fps=20, simulcast=False):
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("bar", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, video_codec=CODECS[codec], simulcast=simulcast)
        self.start(film(source, width, height, fps))
        publication = await self.room.local_participant.publish_track(track, options)
        return {"sid": publication.sid}

    async def unpublish(self, sid):
        await self.room.local_participant.unpublish_track(sid)

    async def mute(self, sid, muted):
        track = self.room.local_participant.track_publications[sid].track
        track.mute() if muted else track.unmute()

    async def subscribe(self, sid, on, **who):
        self.room.remote_participants[who["from"]].track_publications[sid].set_subscribed(on)

    async def track_of(self, identity, kind):
        """The subscribed track of a kind of somebody, once it is there."""
        while True:
            person = self.room.remote_participants.get(identity)
            for publication in person.track_publications.values() if person else []:
                if publication.track and KINDS[publication.kind] == kind:
                    return publication.track, publication.mime_type
            subscribed = asyncio.get_running_loop().create_future()
            self.room.once("track_subscribed", lambda *_: subscribed.done() or subscribed.set_result(None))
            await subscribed

    async def watch(self, frames, **who):
        track, mime = await self.track_of(who["from"], "video")
        stream = rtc.VideoStream(track)
        seen, moved, before, began, width, height = -1, 0, None, 0.0, 0, 0
        async for event in stream:
            width, height = event.frame.width, event.frame.height
            dots = bytes(event.frame.data[0 : width * height : 97])
            moved += sum(abs(a - b) for a, b in zip(dots, before or dots))
            before, seen, began = dots, seen + 1, began or time.monotonic()
            if seen == frames:
                break
        fps = seen / (time.monotonic() - began)
        await stream.aclose()
        return {"frames": seen, "fps": fps, "moved": moved, "width": width, "height": height, "mime": mime}

    async def hear(self, seconds=1.5, **who):
        track, mime = await self.track_of(who["from"], "audio")
        stream = rtc.AudioStream(track, sample_rate=48000, num_channels=1)
        samples, energy = 0, 0.0
        async for event in stream:
            heard = array("h", bytes(event.frame.data))
            samples += len(heard)
            energy += sum((v / 32768) ** 2 for v in heard) / 48000
            if samples >= seconds * 48000 and energy > 0.001:
                break
        await stream.aclose()
        return {"samples": samples, "energy": energy, "mime": mime}

    async def received(self, kind, **who):
        """What somebody's track has received so far, by name of the statistic."""
        track, _ = await self.track_of(who["from"], kind)
        return [MessageToDict(stat.inbound_rtp) for stat in await track.get_stats() if stat.HasField("inbound_rtp")]

    async def send(self, text, reliable=True, topic="", to=()):
        await self.room.local_participant.publish_data(text, reliable=reliable, topic=topic, destination_identities=list(to))

    async def publish_data_track(self, name, text):
        """Publishes a data track and pushes frames on it until the end: who subscribes gets those after."""
        track = await self.room.local_participant.publish_data_track(name=name)

        async def push():
            while True:
                track.try_push(rtc.DataTrackFrame(payload=text.encode()))
                await asyncio.sleep(0.05)

        self.start(push())

    async def read_data_track(self, name, frames, **who):
        """The next frames of somebody's data track."""
        track = await self.data_tracks.setdefault((who["from"], name), asyncio.get_running_loop().create_future())
        stream = track.subscribe()
        texts = [(await stream.read()).payload.decode() for _ in range(frames)]
        await stream.aclose()
        return texts

    def data_track(self, track):
        key = (track.publisher_identity, track.info.name)
        self.data_tracks.setdefault(key, asyncio.get_running_loop().create_future()).set_result(track)

    async def listen_text(self, topic):
        async def read(reader, identity):
            self.tell("text", identity=identity, topic=topic, text=await reader.read_all())

        self.room.register_text_stream_handler(topic, lambda reader, identity: self.start(read(reader, identity)))

    async def send_text(self, topic, text, to=()):
        await self.room.local_participant.send_text(text, topic=topic, destination_identities=list(to))

    async def answer_rpc(self, method):
        async def answer(call):
            return f"{call.caller_identity} said {call.payload}"

        self.room.local_participant.register_rpc_method(method, answer)

    async def rpc(self, to, method, payload):
        return await self.room.local_participant.perform_rpc(destination_identity=to, method=method, payload=payload)

    async def set(self, name=None, metadata=None, attributes=None):
        me = self.room.local_participant
        if name is not None:
            await me.set_name(name)
        if metadata is not None:
            await me.set_metadata(metadata)
        if attributes is not None:
            await me.set_attributes(attributes)

    async def people(self):
        return [
            {
                "identity": p.identity, "sid": p.sid, "name": p.name, "metadata": p.metadata, "attributes": dict(p.attributes),
                "tracks": [
                    {"sid": t.sid, "kind": KINDS[t.kind], "muted": t.muted, "mime": t.mime_type} for t in p.track_publications.values()
                ],
            }
            for p in self.room.remote_participants.values()
        ]

    async def simulate(self, scenario):
        await self.room.simulate_scenario(SimulateScenarioKind.Value(SCENARIOS[scenario]))


async def sing(source):
    at = 0
    while True:
        samples = array("h", (int(12000 * math.sin(2 * math.pi * 440 * (at + i) / 48000)) for i in range(480)))
        await source.capture_frame(rtc.AudioFrame(samples.tobytes(), 48000, 1, 480))
        at += 480


async def film(source, width, height, fps):
    """A bright bar that wanders: frames differ and stay cheap to make."""
    grey, chroma, bright = bytes([60]) * width, bytes([128]) * (width * height // 2), bytes([220]) * (16 * width)
    turn, due = 0, time.monotonic()
    while True:
        bar = (turn * 4) % (height - 16)
        frame = grey * bar + bright + grey * (height - 16 - bar) + chroma
        source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, frame))
        turn, due = turn + 1, due + 1 / fps
        await asyncio.sleep(max(0, due - time.monotonic()))


async def answer(request):
    who, verb, args = request["who"], request["do"], request.get("args") or {}
    try:
        if verb == "join" or who not in people:
            people[who] = Person(who)
        work = getattr(people[who], verb, None)
        if work is None:
            raise NotImplementedError(f"the Python SDK does not know how to {verb}")
        say({"id": request["id"], "ok": await work(**args)})
    except Exception as error:  # Whatever the SDK raises is the answer.
        message = getattr(error, "message", None) or str(error) or repr(error)
        say({"id": request["id"], "error": message, "code": getattr(error, "code", None)})


async def main():
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    say({"event": "ready", "who": ""})
    under_way = set()
    while line := await lines.readline():
        task = asyncio.ensure_future(answer(json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


asyncio.run(main())
