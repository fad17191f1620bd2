//! Why a description cannot be read.

use sfu::units::{Mid, Rid};

/// What is wrong with a description. Lines and m-sections count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// More than [`super::limits::BYTES_MAX`].
    #[error("{0} bytes are too many")]
    TooLong(usize),
    /// More than [`super::limits::LINE_MAX`].
    #[error("line {0} is too long")]
    LineTooLong(usize),
    /// Something that is not text.
    #[error("line {0} has a control character")]
    ControlCharacter(usize),
    /// It does not begin with `v=0`.
    #[error("the description does not begin with v=0")]
    Version,
    /// Not `letter=value`.
    #[error("line {0} is not a line of a description")]
    NotALine(usize),
    /// An attribute with a meaning is not written as its RFC says.
    #[error("line {line}: malformed {what}")]
    Malformed {
        /// Where.
        line: usize,
        /// Its name.
        what: &'static str,
    },
    /// More of something than its limit.
    #[error("line {line}: too many {what}")]
    TooMany {
        /// Where it became too much.
        line: usize,
        /// Of what.
        what: &'static str,
    },
    /// A payload type above 127, or none at all.
    #[error("line {0}: not a payload type")]
    PayloadType(usize),
    /// A payload type twice in one m-section.
    #[error("line {0}: a payload type is listed twice")]
    PayloadTypeTwice(usize),
    /// SSRC 0.
    #[error("line {0}: ssrc 0")]
    SsrcZero(usize),
    /// Two m-sections with one name.
    #[error("mid {0} names two m-sections")]
    MidTwice(Mid),
    /// An m-section in use without a name.
    #[error("m-section {0} has no mid")]
    MidMissing(usize),
    /// A name twice in one m-section.
    #[error("line {line}: rid {rid} is declared twice")]
    RidTwice {
        /// Where.
        line: usize,
        /// Which.
        rid: Rid,
    },
    /// A simulcast stream without an `a=rid` line for its direction.
    #[error("m-section {section}: simulcast names rid {rid}, which is not declared")]
    RidUndeclared {
        /// Where.
        section: usize,
        /// Which.
        rid: Rid,
    },
    /// More than one BUNDLE group.
    #[error("line {0}: a second BUNDLE group")]
    BundleTwice(usize),
    /// A BUNDLE group with a name that no m-section has, or one twice.
    #[error("BUNDLE and the m-sections disagree about mid {0}")]
    BundleMismatch(Mid),
}
