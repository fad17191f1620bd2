//! Session descriptions (RFC 8866), as far as WebRTC peers and we use them (RFC 8829): text to types and back.
//!
//! Attributes without a meaning here are skipped, whatever they are; those with one are read strictly.
//!
//! Invariants: no description makes the reader panic, or take time or memory that its length does not explain. A text that
//! was read contains no control characters, so parts of it may be written into other descriptions.

mod error;
mod parse;
mod section;
mod write;

use sfu::units::Mid;

pub use error::SdpError;
pub(crate) use parse::is_token_byte;
pub use section::{
    Direction, ExtMap, Kind, Msid, Rtcp, RtpFormat, Sctp, Section, Setup, Simulcast, SimulcastStream,
    SsrcGroup, SsrcLine, SsrcSemantics,
};

/// What is read and written at most.
pub mod limits {
    /// Bytes of a description. A client's m-section for video has 4.5 kB, one for sound 1.5 kB, so this is some 180 of
    /// each in one connection. Higher: larger rooms on one connection. Lower: less work for a stranger.
    pub const BYTES_MAX: usize = 1 << 20;
    /// Bytes of a line. The longest honest ones are the BUNDLE group and the format list.
    pub const LINE_MAX: usize = 8 << 10;
    /// m-sections: a connection that carries both directions has one for each track in a room.
    pub const SECTIONS_MAX: usize = 512;
    /// Candidates in an m-section.
    pub const CANDIDATES_MAX: usize = 64;
    /// Names of simulcast streams in an m-section; clients use three.
    pub const RIDS_MAX: usize = 8;
    /// SSRCs in an m-section, and groups of them: three layers with RTX are six.
    pub const SSRCS_MAX: usize = 32;
    /// Bytes of the format parameters of one payload type.
    pub const FMTP_MAX: usize = 1 << 10;
    /// Bytes of an id of a stream or track.
    pub const MSID_MAX: usize = 256;
}

/// A session description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `o=`: who made it, and how often it changed.
    pub origin: Origin,
    /// `a=ice-lite` (RFC 8839 §5.3).
    pub ice: IceMode,
    /// `a=group:BUNDLE` (RFC 9143): the m-sections that share one transport, the first of them leads.
    pub bundle: Vec<Mid>,
    /// `a=extmap-allow-mixed` (RFC 8285 §6).
    pub extmap_mixed: ExtmapMixed,
    /// The m-sections. What stands at session level for all of them was copied into each.
    pub sections: Vec<Section>,
}

/// The numbers of an origin line that mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The same for the whole life of a connection.
    pub session: u64,
    /// One more with each description that differs from the last.
    pub version: u64,
}

/// Whether a side does connectivity checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceMode {
    /// It does.
    #[default]
    Full,
    /// It only answers them.
    Lite,
}

/// Whether one- and two-byte header extensions may be mixed in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExtmapMixed {
    /// They may.
    Allowed,
    /// They may not.
    #[default]
    Unsaid,
}

impl Description {
    /// Reads a description. Works in one pass and stops at the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        parse::description(text)
    }
}

#[cfg(test)]
mod tests;
