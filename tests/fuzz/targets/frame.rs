//! Messages cut out of a stream: wherever the stream is torn, the same messages come out.

use turn::{channel::ChannelData, frame::Frame, stun::Message};

pub fn run(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let whole = messages(&[stream]);
    let at = usize::from(*first) * stream.len() / 256;
    let (head, tail) = stream.split_at(at);
    assert_eq!(messages(&[head, tail]), whole);
    for message in &whole.0 {
        let stun = Message::parse(message).is_ok();
        let channel = ChannelData::parse(message);
        assert!(!stun || channel.is_none());
        if let Some(data) = channel {
            assert_eq!(data.payload.len() + 4, message.len());
        }
    }
}

/// All messages, and whether the stream is still one.
fn messages(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let (mut found, mut waiting) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match Frame::next(&waiting) {
                Frame::Message(message, taken) => {
                    found.push(message.to_vec());
                    waiting.drain(..taken);
                }
                Frame::Incomplete(wanted) => {
                    assert!(wanted > waiting.len());
                    break;
                }
                Frame::Garbage => return (found, false),
            }
        }
    }
    (found, true)
}
