//! Signal messages in WebSocket frames: protobuf in binary frames, proto3 JSON in text frames.
//!
//! Invariant: what a client may not have meant for us (an unknown message) is nothing, not an error.

use bytes::Bytes;
use prost::Message as _;

use super::{Ask, Say, proto};

/// The longest frame that is read.
pub const FRAME_LEN_MAX: usize = 2 * 1024 * 1024;

/// How a client writes, and therefore reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Binary frames.
    #[default]
    Protobuf,
    /// Text frames.
    Json,
}

/// One frame to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A binary frame.
    Binary(Bytes),
    /// A text frame.
    Text(String),
}

/// Why a frame is not taken or made.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`FRAME_LEN_MAX`].
    #[error("frame of {0} bytes is too long")]
    TooLong(usize),
    /// No protobuf.
    #[error("frame is not a signal request")]
    Protobuf(#[from] prost::DecodeError),
    /// No JSON, or not of the message.
    #[error("frame is not JSON of a signal message")]
    Json(#[from] serde_json::Error),
}

/// Reads a binary frame; a message of an unknown kind is `None`.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_binary(frame: &[u8]) -> Result<Option<Ask>, FrameError> {
    if frame.len() > FRAME_LEN_MAX {
        return Err(FrameError::TooLong(frame.len()));
    }
    Ok(proto::SignalRequest::decode(frame)?.message)
}

/// Reads a text frame; a message of an unknown kind is `None`.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_text(frame: &str) -> Result<Option<Ask>, FrameError> {
    if frame.len() > FRAME_LEN_MAX {
        return Err(FrameError::TooLong(frame.len()));
    }
    Ok(serde_json::from_str::<proto::SignalRequest>(frame)?.message)
}

/// Writes a frame.
///
/// # Errors
/// A message with an enumeration number that has no name cannot be written as JSON.
pub fn write(message: &Say, encoding: Encoding) -> Result<Frame, FrameError> {
    let response = proto::SignalResponse { message: Some(message.clone()) };
    match encoding {
        Encoding::Protobuf => Ok(Frame::Binary(response.encode_to_vec().into())),
        Encoding::Json => Ok(Frame::Text(serde_json::to_string(&response)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_mean_the_same() {
        let request = proto::SignalRequest { message: Some(Ask::Ping(7)) };

        assert_eq!(read_binary(&request.encode_to_vec()).unwrap(), Some(Ask::Ping(7)));
        assert_eq!(read_text(r#"{"ping":"7"}"#).unwrap(), Some(Ask::Ping(7)));
    }

    #[test]
    fn unknown_messages_and_fields_are_nothing() {
        let unknown = [0xfa, 0x3e, 0x01, 0x00]; // Field 1007, one byte long.

        assert_eq!(read_binary(&unknown).unwrap(), None);
        assert_eq!(read_text(r#"{"somethingOfTomorrow":{"a":1}}"#).unwrap(), None);
    }

    #[test]
    fn malformed_frames_are_errors() {
        assert!(read_binary(&[0xff]).is_err());
        assert!(read_text("{").is_err());
        assert!(matches!(read_binary(&vec![0; FRAME_LEN_MAX + 1]), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn answers_are_written_as_they_are_read() {
        let Ok(Frame::Text(text)) = write(&Say::Pong(9), Encoding::Json) else { panic!("no text") };
        assert_eq!(text, r#"{"pong":"9"}"#);
        assert!(matches!(write(&Say::Pong(9), Encoding::Protobuf), Ok(Frame::Binary(_))));
    }
}
