//! Tracks as a negotiation knows them: announced, published, wanted.

use sfu::{
    ids::TrackId,
    params::{MediaKind, PayloadFormat, Speech},
    units::Rid,
};

/// A track that the client announced (AddTrack) and will offer.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its name here.
    pub track: TrackId,
    /// The ids it may have in the description: AddTrack's and those of its `simulcast_codecs`.
    pub cids: Vec<String>,
    /// Audio or video.
    pub kind: MediaKind,
    /// The wanted media type (`video/VP9`), put first in the answer.
    pub codec: Option<String>,
    /// How sound is to be sent.
    pub opus: OpusWishes,
    /// Whether its payload is encrypted end to end: then redundancy cannot be taken apart and is not asked for.
    pub encryption: Encryption,
    /// Whether it decides who speaks.
    pub speech: Speech,
    /// The layers AddTrack named, from the smallest to the largest: they order names the description does not explain.
    pub layers: Vec<Layer>,
}

/// A layer that AddTrack named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name on the wire, when the client told it.
    pub rid: Option<Rid>,
    /// LiveKit's quality: 0 low, 1 medium, 2 high.
    pub quality: u8,
}

/// How a client should send Opus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusWishes {
    /// One channel or two.
    pub stereo: Stereo,
    /// Whether silence is sent.
    pub dtx: Dtx,
    /// Whether each packet repeats earlier ones.
    pub red: Red,
}

impl Default for OpusWishes {
    fn default() -> Self {
        Self { stereo: Stereo::Mono, dtx: Dtx::On, red: Red::Preferred }
    }
}

/// Channels of a sound track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stereo {
    /// One.
    Mono,
    /// Two.
    Stereo,
}

/// Discontinuous transmission (RFC 7587 §3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtx {
    /// Silence is not sent.
    On,
    /// It is.
    Off,
}

/// Redundant audio (RFC 2198).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Red {
    /// First choice where the client offers it.
    Preferred,
    /// Never.
    Off,
}

/// End-to-end encryption of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// The server can read the payload.
    None,
    /// It cannot.
    EndToEnd,
}

/// What a subscription carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The track's id in LiveKit's words, `TR_…`: the track id of the msid.
    pub sid: String,
    /// The stream id of the msid and the CNAME: `PA_…|TR_…` or `PA_…|camera`.
    pub stream: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// What the publisher may send, its first choice first: [`super::PeerConnection::formats`] of its connection.
    pub formats: Vec<Format>,
    /// Channels of sound.
    pub stereo: Stereo,
    /// Whether redundancy could be taken apart for a client that does not know it.
    pub encryption: Encryption,
}

/// One payload type of a published track, with what decides who can decode it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// For the media plane.
    pub payload: PayloadFormat,
    /// The media type, in its customary case: `video/VP8`.
    pub mime: String,
    /// Channels of sound; 1 for pictures.
    pub channels: u8,
    /// Its format parameters as the client wrote them, without hints for its own encoder.
    pub fmtp: String,
}
