//! How a wish is refused: before the WebSocket opens, and by the room service.

/// An HTTP answer in place of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {text}")]
pub struct Refusal {
    /// The HTTP status; clients choose by it whether to try again.
    pub status: u16,
    /// The body; livekit-client compares one of them word by word.
    pub text: String,
}

impl Refusal {
    /// Any status.
    #[must_use]
    pub fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The request makes no sense.
    #[must_use]
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    /// The token does not allow it.
    #[must_use]
    pub fn denied() -> Self {
        Self::new(401, "permissions denied")
    }
}

/// What a missing room is called; livekit-client knows a missing room from a missing service by this text.
pub const ROOM_MISSING: &str = "requested room does not exist";
/// What a missing participant is called.
pub const PARTICIPANT_MISSING: &str = "participant does not exist";

/// Why the room service refuses; the variants are Twirp's codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request breaks a limit or a form.
    #[error("{0}")]
    InvalidArgument(String),
    /// Not in this state.
    #[error("{0}")]
    FailedPrecondition(String),
    /// Too much of something.
    #[error("{0}")]
    ResourceExhausted(String),
    /// Nobody can answer at the moment.
    #[error("{0}")]
    Unavailable(String),
}

impl ServiceError {
    /// The room is not there.
    #[must_use]
    pub fn room_missing() -> Self {
        Self::NotFound(ROOM_MISSING.into())
    }

    /// The participant is not there.
    #[must_use]
    pub fn participant_missing() -> Self {
        Self::NotFound(PARTICIPANT_MISSING.into())
    }
}
