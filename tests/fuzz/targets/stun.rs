//! STUN messages, with everything a message can be asked; and that what is read can be written again.

use std::hint::black_box;

use turn::stun::{Builder, IntegrityKey, Message};

pub fn run(data: &[u8]) {
    let Ok(message) = Message::parse(data) else { return };
    let key = IntegrityKey::short_term("a password of two and twenty");
    black_box((message.username(), message.priority(), message.use_candidate()));
    black_box((message.ice_controlling(), message.ice_controlled(), message.error_code()));
    black_box((message.xor_mapped_address(), message.unknown_attributes(&[]).count()));
    black_box((message.check_integrity(&key).is_ok(), message.check_fingerprint().is_ok()));

    let mut out = [0; 2_048];
    let mut builder = Builder::new(message.class(), message.method(), message.transaction_id(), &mut out);
    for attribute in message.attributes() {
        builder = builder.attribute(attribute.kind, attribute.value);
    }
    let Ok(len) = builder.integrity(&key).fingerprint().finish() else { return };
    let written = Message::parse(out.get(..len).unwrap_or_default()).expect("what was written is a message");
    assert!(written.attributes().eq(message.attributes()));
    assert!(written.check_integrity(&key).is_ok() && written.check_fingerprint().is_ok());
}
