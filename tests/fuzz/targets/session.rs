//! What a client may send once it has keys: packets as they come, and packets it sealed itself, so that what lies
//! behind authentication is reached.

use sfu::{
    params::{Secret, SrtpProfile},
    rtp::Header,
    srtp::{KeyingMaterial, ReplayWindow, Srtp},
};

use super::{codec, rtcp};

/// The first byte chooses the profile. Each step then has a byte of what to do and one of length.
pub fn run(data: &[u8]) {
    let Some((profile, mut steps)) = data.split_first() else { return };
    let profile = match profile % 3 {
        0 => SrtpProfile::AeadAes128Gcm,
        1 => SrtpProfile::AeadAes256Gcm,
        _ => SrtpProfile::Aes128CmSha1_80,
    };
    let keying = KeyingMaterial { profile, bytes: Secret(vec![7; KeyingMaterial::len(profile)]) };
    let mut ends = Ends {
        client: Srtp::client(&keying).expect("the length is right"),
        server: Srtp::server(&keying).expect("the length is right"),
        stream: ReplayWindow::default(),
    };
    while let Some(([what, len], rest)) = steps.split_first_chunk() {
        let (packet, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        steps = rest;
        match what % 4 {
            0 => ends.stranger(packet),
            1 => ends.sealed_rtcp(packet),
            _ => ends.sealed_rtp(packet, *what),
        }
    }
}

struct Ends {
    client: Srtp,
    server: Srtp,
    stream: ReplayWindow,
}

impl Ends {
    /// Nobody who lacks the keys is heard.
    fn stranger(&mut self, packet: &[u8]) {
        let mut out = [0; 512];
        assert!(self.server.inbound.open_rtcp(packet, &mut out).is_err());
        let Ok(header) = Header::parse(packet) else { return };
        let before = self.stream.highest();
        assert!(self.server.inbound.open_rtp(&mut self.stream, &header, packet, &mut out).is_err());
        assert_eq!(self.stream.highest(), before);
    }

    fn sealed_rtcp(&mut self, packet: &[u8]) {
        let (mut sealed, mut out) = ([0; 512], [0; 512]);
        let Ok(len) = self.client.outbound.seal_rtcp(packet, &mut sealed) else { return };
        let sealed = sealed.get(..len).expect("within the buffer");
        let opened = self.server.inbound.open_rtcp(sealed, &mut out);
        assert!(self.server.inbound.open_rtcp(sealed, &mut [0; 512]).is_err(), "once is enough");
        let Ok(len) = opened else { return };
        assert_eq!(out.get(..len), Some(packet));
        rtcp::run(packet);
    }

    /// The packet is a header and a payload; `what` chooses the padding.
    fn sealed_rtp(&mut self, packet: &[u8], what: u8) {
        let Ok(header) = Header::parse(packet) else { return };
        let Some((head, payload)) = packet.split_at_checked(header.payload_offset) else { return };
        // As a sender does: the index goes on from the last.
        let last = self.stream.highest().unwrap_or(1 << 15);
        let index = header.seq.extend(last);
        let (mut sealed, mut out) = ([0; 768], [0; 768]);
        let Ok(len) = self.client.outbound.seal_rtp(head, payload, what >> 2, index, &mut sealed) else {
            return;
        };
        let sealed = sealed.get(..len).expect("within the buffer");
        let header = Header::parse(sealed).expect("the header is as it was");
        let Ok(opened) = self.server.inbound.open_rtp(&mut self.stream, &header, sealed, &mut out) else {
            return;
        };
        let again = self.server.inbound.open_rtp(&mut self.stream, &header, sealed, &mut [0; 768]);
        assert!(again.is_err(), "once is enough");
        let plain = out.get(..opened.payload_len).expect("within the buffer");
        assert!(plain.starts_with(payload));
        if let Ok(payload) = header.unpadded(plain) {
            codec::run(payload);
        }
    }
}
