//! Messages between participants: who gets them, and who they say they are from.
//!
//! Invariants: the sender is whom the room knows, whatever the message says; nobody hears themselves; what the message
//! carries is forwarded as it came.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use bytes::Bytes;
use prost::Message as _;
use sfu::{
    command::Command,
    ids::{ParticipantId, TransportId},
    params::Channel,
};

use super::{Room, inbox::Novelty, participant::Participant};
use crate::{
    error::ServiceError,
    wire::{
        packet::{Destinations, Packet, Sender, Value},
        proto::{self, data_packet::Kind, participant_info::State},
    },
};

/// How many nonces of API messages are remembered.
const NONCES_MAX: usize = 100;
const NONCE_LEN: usize = 16;
/// The longest message from the API.
const MESSAGE_LEN_MAX: usize = 64_000;

/// A message on its way.
struct Letter {
    channel: Channel,
    bytes: Bytes,
    destinations: Destinations,
    /// The sender's sid and their number for it, when it is kept for those who come back.
    kept: Option<(String, u32)>,
}

impl Room {
    /// A message arrived on a data channel.
    pub(super) fn message(&mut self, transport: TransportId, channel: &Channel, bytes: &Bytes, now: Instant) {
        let Some(id) = self.transports.get(&transport).copied() else { return };
        let Some(sender) = self.participants.get_mut(&id) else { return };
        if !sender.permission().can_publish_data {
            return;
        }
        let kind = match channel {
            Channel::Reliable => Kind::Reliable,
            Channel::Lossy => Kind::Lossy,
            Channel::DataTrack => return self.forward_data(id, bytes),
            Channel::Named(_) => return self.unlabelled(id, bytes, now),
        };
        let Some(packet) = Packet::read(bytes) else { return };
        if kind == Kind::Reliable && sender.data.receive(packet.sequence()) == Novelty::Repeated {
            return;
        }
        let agent = sender.is_agent();
        match packet.value() {
            Value::Transcription if !agent => return,
            // Metrics are for the server.
            Value::Metrics => return,
            Value::Transcription | Value::Spoken | Value::User | Value::Other => {}
        }
        let own_words = agent && matches!(packet.value(), Value::Transcription | Value::Spoken);
        let identity =
            if own_words && !packet.identity().is_empty() { packet.identity() } else { sender.identity() };
        let (sid, identity) = if sender.is_hidden() {
            (String::new(), String::new())
        } else {
            (sender.sid.clone(), identity.to_string())
        };
        let written = packet.write(&Sender { sid: &sid, identity: &identity }, kind);
        let (destinations, sequence) = (packet.destinations(), packet.sequence());
        let kept = (kind == Kind::Reliable).then_some((sid, sequence));
        self.deliver(
            Some(id),
            &Letter { channel: channel.clone(), bytes: written.into(), destinations, kept },
            now,
        );
    }

    /// A message on a channel we know nothing of goes to everybody else as a plain one.
    fn unlabelled(&mut self, id: ParticipantId, bytes: &Bytes, now: Instant) {
        let Some(sender) = self.participants.get(&id) else { return };
        let (sid, identity) = match sender.is_hidden() {
            true => (String::new(), String::new()),
            false => (sender.sid.clone(), sender.identity().to_string()),
        };
        let user = proto::UserPacket { payload: bytes.to_vec(), ..Default::default() };
        let bytes = user_packet(user, Kind::Reliable, &sid, &identity);
        let destinations = Destinations::default();
        self.deliver(Some(id), &Letter { channel: Channel::Reliable, bytes, destinations, kept: None }, now);
    }

    fn deliver(&mut self, sender: Option<ParticipantId>, letter: &Letter, now: Instant) {
        for id in self.receivers(sender, &letter.destinations) {
            let Some(receiver) = self.participants.get_mut(&id) else { continue };
            let Some(transport) = receiver.link.data_transport() else { continue };
            if let Some((publisher, sequence)) = &letter.kept {
                receiver.data.keep(publisher, *sequence, letter.bytes.clone(), now);
            }
            self.media(Command::Send(transport, letter.channel.clone(), letter.bytes.clone()));
        }
    }

    fn receivers(&self, sender: Option<ParticipantId>, destinations: &Destinations) -> Vec<ParticipantId> {
        let may = |participant: &&Participant| {
            Some(participant.id) != sender && participant.state != State::Joining
        };
        if destinations.is_everybody() {
            return self.participants.values().filter(may).map(|participant| participant.id).collect();
        }
        let by_identity = destinations.identities.iter().filter_map(|identity| self.identities.get(identity));
        let by_sid = destinations.sids.iter().filter_map(|sid| self.sids.get(sid));
        let named: BTreeSet<ParticipantId> = by_identity.chain(by_sid).copied().collect();
        named.into_iter().filter(|id| self.participants.get(id).as_ref().is_some_and(may)).collect()
    }

    /// What a client missed while it was away.
    pub(super) fn replay(&mut self, id: ParticipantId, known: &[proto::DataChannelReceiveState]) {
        let known: BTreeMap<String, u32> =
            known.iter().map(|state| (state.publisher_sid.clone(), state.last_seq)).collect();
        let Some(participant) = self.participants.get(&id) else { return };
        let Some(transport) = participant.link.data_transport() else { return };
        for bytes in participant.data.missed(&known) {
            self.media(Command::Send(transport, Channel::Reliable, bytes));
        }
    }

    /// A message from the server.
    pub(super) fn send_data(
        &mut self,
        request: proto::SendDataRequest,
        now: Instant,
    ) -> Result<(), ServiceError> {
        if !matches!(request.nonce.len(), 0 | NONCE_LEN) {
            return Err(ServiceError::InvalidArgument("nonce should be 16-bytes or not present".into()));
        }
        if request.data.len() > MESSAGE_LEN_MAX {
            return Err(ServiceError::InvalidArgument(format!(
                "data exceeds limits: max size {MESSAGE_LEN_MAX}"
            )));
        }
        if !request.nonce.is_empty() {
            if self.nonces.contains(&request.nonce) {
                return Ok(());
            }
            self.nonces.push_back(request.nonce.clone());
            if self.nonces.len() > NONCES_MAX {
                self.nonces.pop_front();
            }
        }
        let kind = Kind::try_from(request.kind).unwrap_or_default();
        let channel = match kind {
            Kind::Reliable => Channel::Reliable,
            Kind::Lossy => Channel::Lossy,
        };
        let packet = from_server(request, kind);
        let destinations = Destinations::of(&packet);
        let bytes = packet.encode_to_vec().into();
        self.deliver(None, &Letter { channel, bytes, destinations, kept: None }, now);
        Ok(())
    }
}

#[expect(deprecated, reason = "old clients read the old fields")]
fn from_server(request: proto::SendDataRequest, kind: Kind) -> proto::DataPacket {
    proto::DataPacket {
        kind: kind as i32,
        destination_identities: request.destination_identities.clone(),
        value: Some(proto::data_packet::Value::User(proto::UserPacket {
            payload: request.data,
            destination_sids: request.destination_sids,
            destination_identities: request.destination_identities,
            topic: request.topic,
            nonce: request.nonce,
            ..Default::default()
        })),
        ..Default::default()
    }
}

#[expect(deprecated, reason = "old clients read the old fields")]
fn user_packet(mut user: proto::UserPacket, kind: Kind, sid: &str, identity: &str) -> Bytes {
    user.participant_sid = sid.to_string();
    user.participant_identity = identity.to_string();
    let packet = proto::DataPacket {
        kind: kind as i32,
        participant_identity: identity.to_string(),
        participant_sid: sid.to_string(),
        value: Some(proto::data_packet::Value::User(user)),
        ..Default::default()
    };
    packet.encode_to_vec().into()
}
