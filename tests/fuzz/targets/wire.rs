//! What a client says before and after it is let in: frames, joins, tokens, messages. The first byte chooses.

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, SystemTime},
};

use sfu::params::Secret;
use signaling::{
    token::Claims,
    wire::{
        frame,
        join::{Door, JoinParameters},
        packet::{Packet, Sender},
        proto::data_packet::Kind,
    },
};

pub fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(data);
    match choice % 6 {
        0 => drop(black_box(frame::read_binary(data))),
        1 => drop(black_box(frame::read_text(&text))),
        2 => drop(black_box(JoinParameters::read(Door::V0, &text, &text))),
        3 => drop(black_box(JoinParameters::read(Door::V1, &text, ""))),
        4 => token(&text),
        _ => message(data),
    }
}

/// Nobody here knows the secret.
fn token(text: &str) {
    let keys = BTreeMap::from([("devkey".to_owned(), Secret("a secret that no input has".to_owned()))]);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert!(Claims::verify(text, &keys, now).is_err(), "a token nobody signed");
}

/// Whatever a message claims, it is from whom it came.
fn message(data: &[u8]) {
    let Some(packet) = Packet::read(data) else { return };
    let written = packet.write(&Sender { sid: "PA_me", identity: "me" }, Kind::Reliable);
    let read = Packet::read(&written);
    assert!(read.is_some_and(|read| read.identity() == "me" && read.sequence() == packet.sequence()));
}
