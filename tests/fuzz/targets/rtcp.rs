//! Compound RTCP packets, with everything a packet can be asked.

use std::hint::black_box;

use sfu::rtcp::{Packet, parse};

pub fn run(data: &[u8]) {
    let mut packets = 0;
    for packet in parse(data) {
        packets += 1;
        let Ok(packet) = packet else { break };
        let items = match packet {
            Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => {
                blocks.filter(|block| black_box(block.round_trip(0x1234_5678)).is_some()).count()
            }
            Packet::Goodbye { sources } | Packet::Remb { sources, .. } => sources.count(),
            Packet::Nack { missing, .. } => missing.count(),
            Packet::Fir { entries, .. } => entries.count(),
            Packet::TransportCc(feedback) => {
                let statuses = feedback.statuses().count();
                assert_eq!(statuses, usize::from(feedback.count), "a status for every packet");
                statuses
            }
            Packet::Pli { .. } | Packet::Other(_) => 0,
        };
        // A NACK names 17 packets in four bytes; feedback counts its packets in 16 bits, with a limit.
        assert!(items <= (data.len() / 4 * 17).max(8_192), "work that is not paid for in bytes");
    }
    assert!(packets <= data.len() / 4 + 1, "a packet has four bytes");
}
