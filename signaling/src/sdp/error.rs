//! Why a description cannot be read.

/// What is wrong with a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// More bytes than we read.
    #[error("{0} bytes are too many")]
    TooLong(usize),
}
