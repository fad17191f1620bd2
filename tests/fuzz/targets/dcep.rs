//! DCEP messages; and that what is read can be written again.

use sfu::channels::{DcepMessage, Open};

pub fn run(data: &[u8]) {
    let Ok(message) = DcepMessage::parse(data) else { return };
    assert_eq!(DcepMessage::parse(&message.to_bytes()), Ok(message.clone()));
    if let DcepMessage::Open(open) = message {
        let channel = open.channel();
        assert_eq!(Open::for_channel(&channel).channel(), channel);
    }
}
