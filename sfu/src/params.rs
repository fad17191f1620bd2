//! What was negotiated, in the media plane's own terms: the control plane reads it out of SDP.

use std::{fmt, net::SocketAddr, time::Duration};

use crate::units::{Mid, PayloadType, Rid, Ssrc};

/// A value that must not be printed: Debug shows `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// One side's ICE user fragment and password (RFC 8445 §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceCredentials {
    /// At least 4 characters; ours begin with the worker they belong to.
    pub ufrag: String,
    /// At least 22 characters.
    pub pwd: Secret<String>,
}

/// SHA-256 of a certificate (RFC 8122).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    /// Upper-case hex pairs joined by colons, as `a=fingerprint` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How a datagram travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// A UDP datagram.
    Udp,
    /// A frame on an ICE-TCP connection that the client opened (RFC 6544, RFC 4571).
    Tcp,
}

/// Where a datagram comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remote {
    /// How it travels.
    pub protocol: Protocol,
    /// The far end.
    pub addr: SocketAddr,
}

/// An address where a worker listens, as `a=candidate` announces it (host candidates only: we are ICE-lite).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// UDP, or TCP passive.
    pub protocol: Protocol,
    /// Address and port that clients can reach.
    pub addr: SocketAddr,
}

/// What a client must know of the worker that serves its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which worker: the first characters of every ufrag of its transports (see [`crate::params::ufrag_prefix`]).
    pub worker: u16,
    /// The certificate of every transport.
    pub fingerprint: Fingerprint,
    /// Where it listens, best first.
    pub candidates: Vec<Candidate>,
}

/// The characters an ufrag of this worker begins with, so that a first packet finds its worker on any port.
#[must_use]
pub fn ufrag_prefix(worker: u16) -> [u8; 2] {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |value: u16| ALPHABET.get(usize::from(value % 36)).copied().unwrap_or(b'0');
    [digit(worker / 36), digit(worker)]
}

/// What the other side of a transport told us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParameters {
    /// Its ICE credentials.
    pub ice: IceCredentials,
    /// The certificate it must show.
    pub fingerprint: Fingerprint,
}

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2), best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SrtpProfile {
    /// `SRTP_AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `SRTP_AEAD_AES_256_GCM`.
    AeadAes256Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`: five times dearer to send.
    Aes128CmSha1_80,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// What the payload is, as far as forwarding needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// Redundant audio (RFC 2198).
    Red,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// AV1 RTP payload format.
    Av1,
    /// Forwarded untouched.
    Other,
}

/// One payload type of a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// Its number on this transport.
    pub payload_type: PayloadType,
    /// What it carries.
    pub codec: Codec,
    /// Ticks per second of its timestamps.
    pub clock_rate: u32,
    /// The payload type of its retransmissions (RFC 4588), when negotiated.
    pub rtx: Option<PayloadType>,
    /// The RTCP feedback negotiated for it.
    pub feedback: Feedback,
}

/// RTCP feedback negotiated for a payload type (RFC 4585, RFC 5104).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback(u8);

impl Feedback {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Generic NACK.
    pub const NACK: Self = Self(1);
    /// Picture loss indication.
    pub const PLI: Self = Self(2);
    /// Full intra request.
    pub const FIR: Self = Self(4);
    /// Transport-wide congestion control.
    pub const TRANSPORT_CC: Self = Self(8);
    /// Receiver estimated maximum bitrate.
    pub const REMB: Self = Self(16);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// RTP header extensions that mean something to the media plane; all others are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Extension {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`.
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`.
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`.
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    AudioLevel,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`.
    TransportCc,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    AbsSendTime,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time`.
    AbsCaptureTime,
    /// `https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension`.
    DependencyDescriptor,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`.
    PlayoutDelay,
    /// `urn:3gpp:video-orientation`.
    VideoOrientation,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00`.
    VideoLayersAllocation,
}

impl Extension {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::TransportCc,
        Self::AbsSendTime,
        Self::AbsCaptureTime,
        Self::DependencyDescriptor,
        Self::PlayoutDelay,
        Self::VideoOrientation,
        Self::VideoLayersAllocation,
    ];
}

/// Which id each header extension has on a transport (RFC 8285).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap([u8; Extension::COUNT]);

impl ExtensionMap {
    /// Ids 1 to 14 fit the one-byte form, the only one we write.
    pub const ID_MAX: u8 = 14;

    /// The map with one id more; an id of 0 or above [`Self::ID_MAX`] is left out.
    #[must_use]
    pub fn with(mut self, extension: Extension, id: u8) -> Self {
        if let Some(slot) = self.0.get_mut(extension as usize) {
            *slot = if id <= Self::ID_MAX { id } else { 0 };
        }
        self
    }

    /// The id of an extension, when negotiated.
    #[must_use]
    pub fn id(&self, extension: Extension) -> Option<u8> {
        self.0.get(extension as usize).copied().filter(|id| *id != 0)
    }

    /// What an id means.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<Extension> {
        if id == 0 {
            return None;
        }
        let index = self.0.iter().position(|known| *known == id)?;
        Extension::ALL.get(index).copied()
    }
}

/// How packets that arrive on a transport are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiveParameters {
    /// Every payload type the client may send; BUNDLE makes them unique in a transport (RFC 8843 §9.1).
    pub formats: Vec<PayloadFormat>,
    /// The header extensions the client may send.
    pub extensions: ExtensionMap,
}

/// A published track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackParameters {
    /// Audio or video.
    pub kind: MediaKind,
    /// The m-section it is sent on.
    pub mid: Mid,
    /// Its encodings from the smallest picture to the largest; one for audio.
    pub encodings: Vec<Encoding>,
    /// Whether its level decides who speaks.
    pub speech: Speech,
}

/// One encoding of a published track (RFC 8853), found by its SSRC, by its rid, or, alone, by its mid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Its name on the wire, when simulcast names it.
    pub rid: Option<Rid>,
    /// Its SSRC, when the description tells.
    pub ssrc: Option<Ssrc>,
    /// The SSRC of its retransmissions, when the description tells.
    pub rtx_ssrc: Option<Ssrc>,
}

/// Whether a track counts when it is decided who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// A microphone.
    Counts,
    /// Everything else.
    Ignored,
}

/// How a track is written to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendParameters {
    /// The m-section it is forwarded on.
    pub mid: Mid,
    /// Its SSRC for the whole life of the subscription.
    pub ssrc: Ssrc,
    /// The SSRC of retransmissions, when the subscriber takes RTX.
    pub rtx_ssrc: Option<Ssrc>,
    /// The publisher's payload types that this subscriber can take. Packets of others are not forwarded.
    pub formats: Vec<SendFormat>,
    /// The header extensions the subscriber understands.
    pub extensions: ExtensionMap,
}

/// One of the publisher's payload types, as the subscriber knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendFormat {
    /// The number the publisher uses.
    pub from: PayloadType,
    /// What this subscriber calls it: payload type, RTX and feedback are the subscriber's.
    pub to: PayloadFormat,
}

/// What a subscriber wants of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whether anything is forwarded at all.
    pub delivery: Delivery,
    /// The highest spatial layer to forward: an index into the track's encodings, or, where there is one, a layer within it.
    pub layer_max: u8,
    /// The highest temporal layer to forward: 0 is the lowest frame rate.
    pub temporal_max: u8,
    /// Who is served first by a path that does not carry all: higher before lower.
    pub priority: u8,
    /// What becomes of it when the path carries not even the smallest picture.
    pub shortage: Shortage,
}

impl Wish {
    /// Nothing.
    pub const PAUSED: Self = Self { delivery: Delivery::Paused, ..Self::up_to(0) };

    /// Spatial layers up to this one, at every frame rate there is.
    #[must_use]
    pub const fn up_to(layer_max: u8) -> Self {
        Self {
            delivery: Delivery::On,
            layer_max,
            temporal_max: u8::MAX,
            priority: 1,
            shortage: Shortage::Pause,
        }
    }
}

/// What becomes of a picture that does not fit a path at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shortage {
    /// It is held back, so that the rest fares well.
    #[default]
    Pause,
    /// It goes all the same.
    Keep,
}

/// Whether a subscription carries packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Forwarded.
    On,
    /// Nothing is forwarded: hidden, paused or not allowed.
    Paused,
}

/// How a message travels on a data channel, and which of the channels carries it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// `_reliable`: ordered, retransmitted for ever.
    Reliable,
    /// `_lossy`: unordered, never retransmitted.
    Lossy,
    /// `_data_track`: as lossy, for data tracks.
    DataTrack,
    /// Any other label the client opened.
    Named(String),
}

/// Who opens the data channels of a transport, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSetup {
    /// The client opens them in band (RFC 8832).
    ByClient,
    /// We open the three of ours in band as soon as SCTP is up.
    ByServer,
    /// Both sides know them by fixed stream ids: reliable 100, lossy 101, data track 102.
    Negotiated,
}

/// How long silence may last before a transport counts as disconnected, and then as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// No authenticated check for this long: disconnected (RFC 7675 asks for 30 s at most).
    pub disconnected: Duration,
    /// And for this long: failed, nothing is sent any more.
    pub failed: Duration,
}

impl Default for Consent {
    fn default() -> Self {
        Self { disconnected: Duration::from_secs(10), failed: Duration::from_secs(15) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_map_answers_both_ways() {
        let map = ExtensionMap::default().with(Extension::Mid, 4).with(Extension::AudioLevel, 15);

        assert_eq!(map.id(Extension::Mid), Some(4));
        assert_eq!(map.extension(4), Some(Extension::Mid));
        assert_eq!(map.id(Extension::AudioLevel), None, "two-byte ids are never written");
        assert_eq!(map.extension(0), None);
    }

    #[test]
    fn every_extension_stands_at_its_own_number() {
        for (index, extension) in Extension::ALL.iter().enumerate() {
            assert_eq!(*extension as usize, index);
        }
    }
}
