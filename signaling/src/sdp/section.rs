//! An m-section: one medium of a description.

use sfu::{
    params::{Candidate, Extension, Feedback, Fingerprint, IceCredentials},
    units::{Mid, PayloadType, Rid, Ssrc},
};

/// An m-section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is for.
    pub kind: Kind,
    /// 0 says rejected, or bundle-only; else it means nothing, as candidates tell the address.
    pub port: u16,
    /// `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// The payload types, best first (`m=`, `a=rtpmap`, `a=fmtp`, `a=rtcp-fb`). RTX and the like among them.
    pub formats: Vec<RtpFormat>,
    /// The format list as it stands, for an m-section of something else than RTP, and to reject one.
    pub format_list: String,
    /// `a=mid` (RFC 5888).
    pub mid: Option<Mid>,
    /// Who may send, as seen by the writer of the description.
    pub direction: Direction,
    /// `a=ice-ufrag`, `a=ice-pwd`.
    pub ice: Option<IceCredentials>,
    /// `a=fingerprint` by SHA-256, the only hash we read.
    pub fingerprint: Option<Fingerprint>,
    /// `a=setup` (RFC 4145).
    pub setup: Option<Setup>,
    /// `a=rtcp-mux`, `a=rtcp-rsize`.
    pub rtcp: Rtcp,
    /// `a=bundle-only` (RFC 9143 §6): port 0 does not say rejected.
    pub bundle_only: bool,
    /// `a=extmap`, those we know, with ids the one-byte form can carry.
    pub extensions: Vec<ExtMap>,
    /// `a=msid`, the first, or what old software wrote beside an SSRC.
    pub msid: Option<Msid>,
    /// `a=ssrc`.
    pub ssrcs: Vec<SsrcLine>,
    /// `a=ssrc-group` of the semantics we know.
    pub ssrc_groups: Vec<SsrcGroup>,
    /// `a=rid` in the direction of sending.
    pub rids_sent: Vec<Rid>,
    /// `a=rid` in the direction of receiving.
    pub rids_received: Vec<Rid>,
    /// `a=simulcast`.
    pub simulcast: Simulcast,
    /// `a=candidate`, host candidates with an address.
    pub candidates: Vec<Candidate>,
    /// `a=end-of-candidates`.
    pub candidates_end: bool,
    /// `a=sctp-port`, `a=max-message-size`.
    pub sctp: Option<Sctp>,
}

impl Section {
    /// An m-section with nothing but its first line.
    #[must_use]
    pub fn new(kind: Kind, protocol: &str) -> Self {
        Self {
            kind,
            port: 9,
            protocol: protocol.to_owned(),
            formats: Vec::new(),
            format_list: String::new(),
            mid: None,
            direction: Direction::SendRecv,
            ice: None,
            fingerprint: None,
            setup: None,
            rtcp: Rtcp::default(),
            bundle_only: false,
            extensions: Vec::new(),
            msid: None,
            ssrcs: Vec::new(),
            ssrc_groups: Vec::new(),
            rids_sent: Vec::new(),
            rids_received: Vec::new(),
            simulcast: Simulcast::default(),
            candidates: Vec::new(),
            candidates_end: false,
            sctp: None,
        }
    }

    /// Whether its port says that it is not to be used (RFC 9143 §7.1.3).
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }
}

/// What an m-section is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data channels.
    Application,
    /// Something we do not do.
    Other(String),
}

/// Who sends in an m-section (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// Only the writer.
    SendOnly,
    /// Only the reader.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The same without sending.
    #[must_use]
    pub const fn without_sending(self) -> Self {
        if self.receives() { Self::RecvOnly } else { Self::Inactive }
    }

    /// The same without receiving.
    #[must_use]
    pub const fn without_receiving(self) -> Self {
        if self.sends() { Self::SendOnly } else { Self::Inactive }
    }

    /// Whether the writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same as the other side sees it.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }

    /// The attribute.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// Who begins the DTLS handshake (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The reader may choose.
    ActPass,
    /// The writer.
    Active,
    /// The reader.
    Passive,
}

impl Setup {
    /// The value of the attribute.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
        }
    }
}

/// How RTCP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtcp {
    /// `a=rtcp-mux`: on the port of RTP (RFC 5761).
    pub mux: bool,
    /// `a=rtcp-rsize`: reduced size (RFC 5506).
    pub reduced_size: bool,
}

/// A payload type of an m-section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpFormat {
    /// Its number.
    pub payload_type: PayloadType,
    /// Its encoding name as it was written.
    pub name: String,
    /// Ticks per second.
    pub clock_rate: u32,
    /// Channels of sound; 1 where none are told.
    pub channels: u8,
    /// Its format parameters as they were written.
    pub fmtp: String,
    /// Its `a=rtcp-fb` lines, those that mean something here.
    pub feedback: Feedback,
}

/// A header extension of an m-section (RFC 8285).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtMap {
    /// 1 to 14.
    pub id: u8,
    /// In which direction it is used, when it is told apart from the m-section's.
    pub direction: Option<Direction>,
    /// What it is.
    pub extension: Extension,
}

/// The ids of a medium (RFC 8830).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    /// Its stream; `-` for none.
    pub stream: String,
    /// Its track, which newer software leaves out.
    pub track: Option<String>,
}

/// An SSRC (RFC 5576).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcLine {
    /// Which.
    pub ssrc: Ssrc,
    /// Its CNAME, when told.
    pub cname: Option<String>,
}

/// SSRCs that belong together (RFC 5576 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcGroup {
    /// How.
    pub semantics: SsrcSemantics,
    /// Which, in order.
    pub ssrcs: Vec<Ssrc>,
}

/// How SSRCs belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SsrcSemantics {
    /// `FID`: the second repairs the first (RFC 4588).
    Fid,
    /// `SIM`: layers of one picture, from the smallest, as software without rids writes it.
    Sim,
    /// Forward error correction, which is not used here; its second is not media.
    Fec,
}

/// The simulcast streams of an m-section (RFC 8853).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulcast {
    /// Those the writer sends.
    pub send: Vec<SimulcastStream>,
    /// Those it receives.
    pub receive: Vec<SimulcastStream>,
}

/// One simulcast stream: of alternatives, the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulcastStream {
    /// Its name.
    pub rid: Rid,
    /// `~`: it is not sent for the time being.
    pub paused: bool,
}

/// How data channels travel (RFC 8841).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctp {
    /// `a=sctp-port`.
    pub port: u16,
    /// `a=max-message-size`; 64 KiB when it is not told, 0 for no limit.
    pub message_max: u64,
}

impl Sctp {
    /// RFC 8841 §6: what an absent `a=max-message-size` means.
    pub const MESSAGE_MAX_DEFAULT: u64 = 64 << 10;
}
