"""The Python server SDK (`livekit-api`), one room service call a line. Requests are shaped as the service's own."""

import asyncio
import json
import re
import sys

from google.protobuf.json_format import MessageToDict, ParseDict
from livekit import api

REQUESTS = {
    "GetParticipant": api.RoomParticipantIdentity,
    "RemoveParticipant": api.RoomParticipantIdentity,
    "MutePublishedTrack": api.MuteRoomTrackRequest,
}


def say(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def answer(line):
    method, args = line["do"], line["args"]
    try:
        request = ParseDict(args["request"], REQUESTS.get(method, getattr(api, method + "Request", None))())
        async with api.LiveKitAPI(args["url"], args["key"], args["secret"]) as service:
            call = getattr(service.room, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower())
            answered = await call(request)
        say({"id": line["id"], "ok": MessageToDict(answered) if answered is not None else None})
    except Exception as error:  # Whatever the SDK raises is the answer.
        say({"id": line["id"], "error": getattr(error, "message", None) or repr(error), "code": getattr(error, "code", None)})


async def main():
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    say({"event": "ready", "who": ""})
    while line := await lines.readline():
        await answer(json.loads(line))


asyncio.run(main())
