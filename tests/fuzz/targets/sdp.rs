//! Session descriptions.

use signaling::sdp::{Description, SdpError, limits::BYTES_MAX};

/// What is read is written so that it reads the same, and nothing that was read can end a line early.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(description) = Description::parse(text) else { return };
    let written = description.to_string();
    assert!(!written.replace("\r\n", "").chars().any(char::is_control));
    match Description::parse(&written) {
        Ok(again) => assert_eq!(again.to_string(), written),
        // What stood once at session level stands in every m-section.
        Err(SdpError::TooLong(_)) => assert!(written.len() > BYTES_MAX),
        Err(error) => panic!("{error}: {written}"),
    }
}
