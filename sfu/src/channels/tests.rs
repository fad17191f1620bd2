//! What a client may cost that keeps to the protocol and means no good.

use std::time::Instant;

use super::{
    testing::{Client, Ids},
    *,
};

#[test]
fn a_client_that_sends_a_flood_of_pieces_nobody_can_read_loses_its_channels() {
    let mut pair = Pair::up();

    // Whole messages of one byte, in order, behind one that never comes.
    let packets = (0..200_u32).take_while(|number| {
        pair.flood(*number);
        format!("{:?}", pair.server.association) == "up"
    });
    let packets = packets.count();

    assert!((145..155).contains(&packets), "{packets} packets of 55 chunks");
    assert!(pair.server.open.is_empty());
}

#[test]
fn messages_that_are_read_do_not_count_against_the_client() {
    let mut pair = Pair::up();

    for number in 0..9_000_u32 {
        let message = Bytes::copy_from_slice(&number.to_be_bytes());
        assert!(pair.client.send(&Channel::Reliable, &message, testing::Kind::Binary));
        pair.exchange();
    }

    assert_eq!(pair.messages, 9_000);
    assert_eq!(format!("{:?}", pair.server.association), "up");
}

/// Both sides with nothing between them.
struct Pair {
    server: Channels,
    client: Client,
    now: Instant,
    messages: usize,
    /// The client's last packet with DATA in it.
    last: Vec<u8>,
}

impl Pair {
    fn up() -> Self {
        #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
        let now = Instant::now();
        let client = Client::new(&[Channel::Reliable], Ids::InBand).unwrap();
        let server = Channels::new(ChannelSetup::ByClient);
        let mut pair = Self { server, client, now, messages: 0, last: Vec::new() };
        pair.exchange();
        assert!(pair.server.open.contains_key(&Channel::Reliable));
        pair
    }

    /// Until nobody has anything to say.
    fn exchange(&mut self) {
        loop {
            let packets = self.client.transmit(self.now);
            for packet in &packets {
                if packet.get(12) == Some(&0) {
                    self.last = packet.to_vec();
                }
                self.server.handle(packet, self.now);
            }
            let mut answered = false;
            while let Some(output) = self.server.poll() {
                match output {
                    ChannelOutput::Packet(packet) => {
                        answered = true;
                        self.client.handle(&packet, self.now);
                    }
                    ChannelOutput::Message(..) => self.messages += 1,
                    ChannelOutput::Opened(_) => {}
                }
            }
            if packets.is_empty() && !answered {
                return;
            }
        }
    }

    /// 55 chunks in the client's name, numbered on from its last.
    fn flood(&mut self, number: u32) {
        let first = u32::from_be_bytes(self.last[16..20].try_into().unwrap());
        let mut packet = self.last[..12].to_vec();
        for index in 1..=55 {
            let count = number * 55 + index;
            let ssn = u16::try_from(100 + count).unwrap();
            packet.extend_from_slice(&[0, 3, 0, 17]);
            packet.extend_from_slice(&first.wrapping_add(count).to_be_bytes());
            packet.extend_from_slice(&[0, 0]);
            packet.extend_from_slice(&ssn.to_be_bytes());
            packet.extend_from_slice(&[0, 0, 0, 53, 0xaa, 0, 0, 0]);
        }
        packet[8..12].fill(0);
        let crc = crc32c(&packet);
        packet[8..12].copy_from_slice(&crc.to_le_bytes());
        self.server.handle(&packet, self.now);
        while self.server.poll().is_some() {}
    }
}

/// RFC 9260 appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
            },
        )
    })
}
