//! What came out of a negotiation.

use std::collections::BTreeMap;

use sfu::{
    ids::{SubscriptionId, TrackId},
    params::{IceCredentials, ReceiveParameters, RemoteParameters, SendParameters, TrackParameters},
    units::{Mid, PayloadType, Ssrc},
};

use crate::sdp::SdpError;

/// An answer to a client's offer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The description to send.
    pub sdp: String,
    /// Which subscribed track (`TR_…`) each m-section carries, by mid: complete in every answer.
    pub mid_to_track_id: BTreeMap<String, String>,
    /// What changed by it, in the order the media plane has to learn it.
    pub changes: Vec<Change>,
}

/// One thing that changed. Each is told when it becomes true and again when its parameters change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The client restarted ICE, so our side has these credentials from here on; always before [`Self::Remote`].
    RestartedIce(IceCredentials),
    /// What the client's side is: the first time, and when its ICE credentials changed.
    Remote(RemoteParameters),
    /// What may arrive on the transport.
    Receive(ReceiveParameters),
    /// An application section was accepted: data channels may come.
    DataChannels,
    /// A published track stopped: it is forgotten here, its parameters with it.
    Unpublished(TrackId),
    /// An m-section carries a track that [`super::PeerConnection::expect`] announced.
    Published {
        /// Which one.
        track: TrackId,
        /// For the media plane.
        params: TrackParameters,
        /// The m-section it is on.
        mid: String,
        /// What it is sent as, the first choice of our answer: `video/VP8`.
        mime: String,
        /// The track id in the client's description, when there is one; a browser may have rewritten it.
        cid: Option<String>,
    },
    /// The client offers a track in no codec that is enabled; it is forgotten here.
    Unpublishable(TrackId),
    /// A subscription lost its m-section by the client's doing; it waits for another one.
    Unsubscribed(SubscriptionId),
    /// A subscription has an m-section.
    Subscribed {
        /// Which one.
        subscription: SubscriptionId,
        /// For the media plane.
        send: SendParameters,
        /// The m-section it is on.
        mid: String,
    },
    /// A subscription cannot be served and is forgotten here.
    Refused {
        /// Which one.
        subscription: SubscriptionId,
        /// Why.
        why: CodecUnsupported,
    },
}

/// A subscriber does not take what a publisher sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client does not take {mime}")]
pub struct CodecUnsupported {
    /// What is sent: `video/AV1`.
    pub mime: String,
}

/// A number of m-sections of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// For sound.
    pub audio: u32,
    /// For pictures.
    pub video: u32,
}

/// Why a description was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// It is not a description we can read.
    #[error("the description cannot be read")]
    Sdp(#[from] SdpError),
    /// This side offers and the client answers, or the other way round.
    #[error("a {0} connection does not negotiate this way")]
    Role(&'static str),
    /// The client wants us to begin the DTLS handshake.
    #[error("a=setup:passive: the client has to begin the handshake")]
    SetupPassive,
    /// The description does not settle who begins the DTLS handshake.
    #[error("no a=setup, or one that an answer cannot have")]
    SetupMissing,
    /// Neither side would check anything.
    #[error("a=ice-lite on both sides")]
    BothLite,
    /// An m-section in use has no ICE credentials or no SHA-256 fingerprint.
    #[error("no ICE credentials or no sha-256 fingerprint")]
    TransportMissing,
    /// Another certificate than before, on the same transport.
    #[error("the fingerprint changed")]
    FingerprintChanged,
    /// More than one m-section, and no BUNDLE group.
    #[error("the m-sections are not bundled")]
    NotBundled,
    /// An m-section whose RTCP would need a port of its own.
    #[error("m-section {0} does not multiplex RTCP")]
    RtcpNotMuxed(usize),
    /// A payload type with two meanings on one transport.
    #[error("payload type {0} has two meanings")]
    PayloadTypeClash(PayloadType),
    /// A header extension id with two meanings on one transport.
    #[error("header extension id {0} has two meanings")]
    ExtensionClash(u8),
    /// An SSRC in two m-sections.
    #[error("ssrc {0} is in two m-sections")]
    SsrcClash(Ssrc),
    /// An m-line is another one than before.
    #[error("m-section {0} is not the one that was there")]
    Moved(usize),
    /// m-lines that were there are gone.
    #[error("{now} m-sections where {before} were")]
    Fewer {
        /// How many there were.
        before: usize,
        /// How many there are.
        now: usize,
    },
    /// An answer has m-lines that were not offered.
    #[error("{now} m-sections in the answer to {before}")]
    More {
        /// How many were offered.
        before: usize,
        /// How many there are.
        now: usize,
    },
    /// Two SSRCs and no word of how they belong together.
    #[error("mid {mid}: ssrc {ssrc} belongs to nothing")]
    SsrcAmbiguous {
        /// Where.
        mid: Mid,
        /// Which.
        ssrc: Ssrc,
    },
}
