// The Node server SDK (`livekit-server-sdk`), one room service call a line. Requests are shaped as the service's own.
import { RoomServiceClient } from "livekit-server-sdk";
import { serve } from "./lines.mjs";

const call = {
  CreateRoom: (c, r) => c.createRoom(r),
  ListRooms: async (c, r) => ({ rooms: await c.listRooms(r.names) }),
  DeleteRoom: (c, r) => c.deleteRoom(r.room),
  UpdateRoomMetadata: (c, r) => c.updateRoomMetadata(r.room, r.metadata),
  ListParticipants: async (c, r) => ({ participants: await c.listParticipants(r.room) }),
  GetParticipant: (c, r) => c.getParticipant(r.room, r.identity),
  RemoveParticipant: (c, r) => c.removeParticipant(r.room, r.identity),
  MutePublishedTrack: async (c, r) => ({ track: await c.mutePublishedTrack(r.room, r.identity, r.trackSid, r.muted) }),
  UpdateParticipant: (c, { room, identity, ...rest }) => c.updateParticipant(room, identity, rest),
  UpdateSubscriptions: (c, r) => c.updateSubscriptions(r.room, r.identity, r.trackSids, r.subscribe),
  SendData: (c, r) => c.sendData(r.room, Buffer.from(r.data, "base64"), r.kind === "LOSSY" ? 1 : 0, { destinationIdentities: r.destinationIdentities, topic: r.topic }),
};

// Messages of the protocol library know their own JSON form.
const plain = (value) => {
  if (Array.isArray(value)) return value.map(plain);
  if (value?.toJson) return value.toJson();
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
};

await serve(async ({ do: method, args }) => {
  const client = new RoomServiceClient(args.url, args.key, args.secret);
  return plain(await call[method](client, args.request));
});
