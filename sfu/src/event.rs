//! What a worker tells the control plane.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    ids::{ParticipantId, RoomId, SubscriptionId, TrackId, TransportId},
    params::{Channel, Protocol, SrtpProfile},
    units::Bitrate,
};

/// Something that happened in a room.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where.
    pub room: RoomId,
    /// What.
    pub kind: EventKind,
}

/// What can happen.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// ICE and DTLS are done: media can flow. Told again when a disconnected transport is heard anew.
    Connected {
        /// Which transport.
        transport: TransportId,
        /// How its media is protected.
        srtp: SrtpProfile,
        /// How its datagrams travel.
        protocol: Protocol,
    },
    /// Nothing authenticated was heard for [`crate::params::Consent::disconnected`].
    Disconnected(TransportId),
    /// The transport is lost: silence, a failed handshake or the wrong certificate.
    Failed(TransportId, Failure),
    /// A data channel can carry messages.
    ChannelOpen(TransportId, Channel),
    /// A message arrived on a data channel.
    Message(TransportId, Channel, Bytes),
    /// The first packet of an encoding of a track arrived; `layer` is the index of its encoding.
    LayerStarted(TrackId, u8),
    /// An encoding of a track fell silent.
    LayerStopped(TrackId, u8),
    /// Who speaks changed: only those whose level or state differs from what was told before.
    Speakers(Vec<Speaker>),
    /// A picture is held back because the path to its viewer does not carry it, or comes again.
    StreamState(SubscriptionId, StreamState),
    /// How transports and tracks fare: told at a steady interval.
    Report(Report),
    /// A panic was caught: the room is gone and everyone in it has to come back.
    RoomLost,
}

/// Whether a picture reaches its viewer, as far as the path to them is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// It does.
    Active,
    /// The path does not carry it.
    Paused,
}

/// Why a transport is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No authenticated check for [`crate::params::Consent::failed`].
    Silence,
    /// DTLS ended in an alert or a timeout.
    Handshake,
    /// The certificate is not the one the description announced.
    Fingerprint,
    /// DTLS was closed by the client (`close_notify`).
    Closed,
}

/// One participant's voice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speaker {
    /// Who.
    pub participant: ParticipantId,
    /// From 0 (silent) to 1 (loudest), linear.
    pub level: f32,
    /// Loud enough for long enough.
    pub state: SpeakerState,
}

/// Whether somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeakerState {
    /// They do.
    Active,
    /// They do not.
    Silent,
}

/// How the streams of one transport fared since the last report.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Tracks received on it.
    pub received: Vec<(TrackId, StreamReport)>,
    /// Tracks forwarded on it, as the client's receiver reports tell.
    pub sent: Vec<(SubscriptionId, StreamReport)>,
    /// Round trip, when known.
    pub rtt: Option<Duration>,
    /// What the path to the client carries, as far as the client tells.
    pub estimate: Option<Bitrate>,
}

/// How one stream fared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StreamReport {
    /// Packets that were expected.
    pub expected: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Payload and headers.
    pub bitrate: Bitrate,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// The layer that is forwarded, for a subscription.
    pub layer: Option<u8>,
}
