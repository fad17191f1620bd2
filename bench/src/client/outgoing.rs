//! One encoding that is sent: its pictures become RTP packets when they are due.

use std::time::{Duration, Instant};

use sfu::{
    rtp::{AudioLevel, Fields, Form, HeaderWriter, Voice},
    srtp::Sealer,
    units::{Mid, PayloadType, Rid, RtpTime, SeqNo, Ssrc},
};

use crate::{
    media::{Feed, Frame, PAYLOAD_MAX, Stamp},
    scenario::Kind,
    signal::numbers,
};

/// How much later a picture may be sent before it is left out.
const TOO_LATE: Duration = Duration::from_secs(1);

/// What an encoding is on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) publisher: u32,
    pub(crate) device: u8,
    pub(crate) layer: u8,
    pub(crate) ssrc: Ssrc,
    pub(crate) payload_type: PayloadType,
    pub(crate) mid: Mid,
    pub(crate) rid: Option<Rid>,
    pub(crate) feed: Feed,
}

/// One encoding that is sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) sending: Sending,
    /// Whether anybody wants it.
    pub(crate) wanted: bool,
    index: u64,
    timestamp: u32,
    pub(crate) next: Instant,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    /// When the last picture was sent, for sender reports.
    pub(crate) sent: Option<(Instant, u32)>,
}

impl Outgoing {
    pub(crate) fn new(sending: Sending, next: Instant) -> Self {
        // Far from where numbers wrap and not the same for all.
        let index = u64::from(sending.ssrc.0 & 0x3fff);
        Self {
            timestamp: sending.ssrc.0.rotate_left(7),
            sending,
            wanted: true,
            index,
            next,
            packets: 0,
            octets: 0,
            sent: None,
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.sending.feed.kind()
    }

    /// The next picture, when it is due, and how late it is.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Frame, Duration)> {
        let late = now.checked_duration_since(self.next)?;
        let interval = self.sending.feed.interval();
        self.next = if late > TOO_LATE { now + interval } else { self.next + interval };
        self.timestamp = self.timestamp.wrapping_add(self.sending.feed.ticks());
        if !self.wanted {
            return None;
        }
        let frame = self.sending.feed.next();
        self.sent = Some((now, self.timestamp));
        Some((frame, late))
    }

    /// Writes one packet of a picture, protected, and tells its length.
    pub(crate) fn seal(
        &mut self,
        frame: &Frame,
        packet: u16,
        place: Place<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        let stamp = Stamp {
            publisher: self.sending.publisher,
            device: self.sending.device,
            layer: self.sending.layer,
            keyframe: frame.keyframe,
            frame: frame.number,
            packet,
            packets: frame.packets,
            sent: place.sent,
        };
        let mut payload = [0; PAYLOAD_MAX];
        let len = self.sending.feed.payload(frame, &stamp, &mut payload);
        let payload = payload.get(..len)?;
        let last = packet + 1 >= frame.packets;
        let fields = Fields {
            marker: self.kind() == Kind::Video && last,
            payload_type: self.sending.payload_type,
            seq: SeqNo(u16::try_from(self.index & 0xffff).ok()?),
            timestamp: RtpTime(self.timestamp),
            ssrc: self.sending.ssrc,
        };
        let mut header = [0; 64];
        let mut writer = HeaderWriter::new(&mut header, &fields, Form::OneByte).ok()?;
        writer.extension(numbers::TRANSPORT_CC, &place.transport_seq.to_be_bytes()).ok()?;
        writer.extension(numbers::MID, self.sending.mid.as_bytes()).ok()?;
        if let Some(rid) = &self.sending.rid {
            writer.extension(numbers::RID, rid.as_bytes()).ok()?;
        }
        if self.kind() == Kind::Audio {
            let level = AudioLevel { voice: Voice::Speech, attenuation: 25 };
            writer.extension(numbers::AUDIO_LEVEL, &level.to_bytes()).ok()?;
        }
        let header_len = writer.finish();
        let sealed = place.sealer.seal_rtp(header.get(..header_len)?, payload, 0, self.index, out).ok()?;
        self.index += 1;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::try_from(payload.len()).unwrap_or(0));
        Some(sealed)
    }
}

/// What a packet needs of its peer connection.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) sealer: &'a mut Sealer,
    pub(crate) transport_seq: u16,
    /// Nanoseconds since 1970.
    pub(crate) sent: u64,
}
