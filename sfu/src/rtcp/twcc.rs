//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1):
//! which packets of a transport arrived, and when.
//!
//! Invariant: feedback that is handed out has a status for every packet it counts and a delta for every packet
//! that arrived.

use std::time::Duration;

use super::{CompoundWriter, format, packet_type};
use crate::{
    units::{SeqNo, Ssrc},
    wire::{Full, Reader, Writer},
};

/// Packets one message may tell of. Higher: longer gaps in one message. Lower: less work for twenty bytes from
/// a client that makes gaps up.
pub const STATUSES_MAX: u16 = 8_192;

/// §3.1.5: deltas are counted in 250 µs, the reference time in 64 ms.
const TICK_MICROS: u32 = 250;
const TICKS_PER_SECOND: u64 = 4_000;
const TICKS_PER_REFERENCE: i64 = 256;
const REFERENCE_MASK: i64 = 0x00ff_ffff;

/// §3.1.3, §3.1.4: chunks are words of 16 bits.
const VECTOR: u16 = 1 << 15;
const TWO_BITS: u16 = 1 << 14;
const RUN_MAX: u16 = (1 << 13) - 1;
const VECTOR_ONE_BIT: u8 = 14;
const VECTOR_TWO_BITS: u8 = 7;

/// §3.1.1: what is known of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Lost = 0,
    /// Its delta has one byte.
    Small = 1,
    /// Its delta has two bytes, with a sign.
    Large = 2,
}

impl Status {
    const fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            0 => Some(Self::Lost),
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }

    const fn delta_len(self) -> usize {
        self as usize
    }
}

/// What is left of one chunk: equal statuses, or the bits of a vector with the next one on top.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Run { status: Status, left: u16 },
    OneBit { bits: u16, left: u8 },
    TwoBits { bits: u16, left: u8 },
}

impl Chunk {
    const fn parse(word: u16) -> Option<Self> {
        if word & VECTOR == 0 {
            let Some(status) = Status::from_bits(word >> 13 & 0b11) else { return None };
            return Some(Self::Run { status, left: word & RUN_MAX });
        }
        if word & TWO_BITS == 0 {
            return Some(Self::OneBit { bits: word << 2, left: VECTOR_ONE_BIT });
        }
        Some(Self::TwoBits { bits: word << 2, left: VECTOR_TWO_BITS })
    }

    const fn len(self) -> u16 {
        match self {
            Self::Run { left, .. } => left,
            Self::OneBit { left, .. } | Self::TwoBits { left, .. } => left as u16,
        }
    }

    /// `None` when it is used up, or a symbol of a vector is the reserved one.
    fn next(&mut self) -> Option<Status> {
        match self {
            Self::Run { status, left } => {
                *left = left.checked_sub(1)?;
                Some(*status)
            }
            Self::OneBit { bits, left } => {
                *left = left.checked_sub(1)?;
                let status = if *bits & VECTOR == 0 { Status::Lost } else { Status::Small };
                *bits <<= 1;
                Some(status)
            }
            Self::TwoBits { bits, left } => {
                *left = left.checked_sub(1)?;
                let status = Status::from_bits(*bits >> 14);
                *bits <<= 2;
                status
            }
        }
    }
}

/// How much later than the packet before it a packet arrived; negative when it overtook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delta(i16);

impl Delta {
    /// In microseconds.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        i64::from(self.0).saturating_mul(250)
    }
}

/// One feedback message.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// Who received.
    pub sender: Ssrc,
    /// One of those who sent; the message is about the whole transport.
    pub media: Ssrc,
    /// The first packet it tells of.
    pub base: SeqNo,
    /// How many packets it tells of.
    pub count: u16,
    /// One more with every message: a gap is lost feedback.
    pub message: u8,
    reference: i32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> Feedback<'a> {
    pub(super) fn parse(mut reader: Reader<'a>) -> Option<Self> {
        let (sender, media) = super::feedback::ends(&mut reader)?;
        let base = SeqNo(reader.u16()?);
        let count = reader.u16().filter(|count| (1..=STATUSES_MAX).contains(count))?;
        // Sign extension from 24 bits.
        let reference = (reader.u24()? << 8).cast_signed() >> 8;
        let message = reader.u8()?;
        let body = reader.rest();
        let deltas_len = measure(count, &mut reader)?;
        let chunks = body.get(..body.len().checked_sub(reader.rest().len())?)?;
        let deltas = reader.take(deltas_len)?;
        Some(Self { sender, media, base, count, message, reference, chunks, deltas })
    }

    /// When the packet before the first would have arrived, in microseconds of the receiver's clock, which
    /// begins anywhere and wraps after twelve days.
    #[must_use]
    pub fn reference_micros(&self) -> i64 {
        i64::from(self.reference).saturating_mul(TICKS_PER_REFERENCE).saturating_mul(250)
    }

    /// Every packet in order: when it arrived after the one that arrived before it, or that it did not. The
    /// first counts from [`Self::reference_micros`].
    #[must_use]
    pub const fn statuses(&self) -> Statuses<'a> {
        Statuses {
            seq: self.base,
            left: self.count,
            chunk: None,
            chunks: Reader::new(self.chunks),
            deltas: Reader::new(self.deltas),
        }
    }
}

/// Reads the chunks for `count` packets and tells how many bytes of deltas they ask for. The last chunk may
/// have statuses to spare.
fn measure(count: u16, reader: &mut Reader<'_>) -> Option<usize> {
    let mut left = count;
    let mut deltas_len = 0_usize;
    while left > 0 {
        let mut chunk = Chunk::parse(reader.u16()?)?;
        let take = chunk.len().min(left);
        left = left.saturating_sub(take);
        if let Chunk::Run { status, .. } = chunk {
            deltas_len = deltas_len.checked_add(usize::from(take).checked_mul(status.delta_len())?)?;
            continue;
        }
        for _ in 0..take {
            deltas_len = deltas_len.checked_add(chunk.next()?.delta_len())?;
        }
    }
    Some(deltas_len)
}

/// See [`Feedback::statuses`].
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    seq: SeqNo,
    left: u16,
    chunk: Option<Chunk>,
    chunks: Reader<'a>,
    deltas: Reader<'a>,
}

impl Statuses<'_> {
    fn status(&mut self) -> Option<Status> {
        loop {
            if let Some(chunk) = self.chunk.as_mut().filter(|chunk| chunk.len() > 0) {
                return chunk.next();
            }
            self.chunk = Some(Chunk::parse(self.chunks.u16()?)?);
        }
    }
}

impl Iterator for Statuses<'_> {
    type Item = (SeqNo, Option<Delta>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let seq = self.seq;
        self.seq = seq.plus(1);
        let delta = match self.status()? {
            Status::Lost => None,
            Status::Small => Some(Delta(i16::from(self.deltas.u8()?))),
            Status::Large => Some(Delta(self.deltas.u16()?.cast_signed())),
        };
        Some((seq, delta))
    }
}

/// One packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its transport-wide sequence number with the rollovers before it (see [`SeqNo::extend`]).
    pub seq: u64,
    /// When, on a clock of the receiver's choosing.
    pub at: Duration,
}

/// What a message says besides its arrivals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// See [`Feedback::sender`].
    pub sender: Ssrc,
    /// See [`Feedback::media`].
    pub media: Ssrc,
    /// See [`Feedback::message`].
    pub message: u8,
    /// The first packet to tell of: those before the first arrival are told as lost.
    pub base: u64,
}

impl CompoundWriter<'_> {
    /// Appends feedback about as many arrivals as one message can carry and tells how many those were: the
    /// rest goes into the next message, whose base follows the last one told. `arrivals` go up strictly in
    /// sequence, none before the base; those that do not fit that are where the message ends.
    pub fn transport_cc(&mut self, message: &Message, arrivals: &[Arrival]) -> Result<usize, Full> {
        self.packet(format::TRANSPORT_CC, packet_type::TRANSPORT_FEEDBACK, |writer| {
            write(writer, message, arrivals)
        })
    }
}

/// What stands before the chunks, after the header every packet has; and what may be needed to align the end.
const FRAME_LEN: usize = 16 + 3;

fn write(writer: &mut Writer<'_>, message: &Message, arrivals: &[Arrival]) -> Result<usize, Full> {
    let first = arrivals.first().ok_or(Full)?;
    let reference = ticks(first.at).div_euclid(TICKS_PER_REFERENCE);
    let all = Untold { seq: message.base, tick: reference.saturating_mul(TICKS_PER_REFERENCE), arrivals };
    let room = writer.room().saturating_sub(FRAME_LEN);
    let (told, rest) = arrivals.split_at_checked(all.clone().fit(room)).ok_or(Full)?;
    let last = told.last().ok_or(Full)?;
    let all = Untold { arrivals: told, ..all };

    writer.u32(message.sender.0)?;
    writer.u32(message.media.0)?;
    writer.u16((message.base & 0xffff) as u16)?;
    writer.u16(u16::try_from(last.seq.saturating_sub(message.base).saturating_add(1)).map_err(|_| Full)?)?;
    let [.., a, b, c] = (reference & REFERENCE_MASK).to_be_bytes();
    writer.put(&[a, b, c, message.message])?;
    let mut chunks = all.clone();
    while let Some(chunk) = chunks.next_chunk() {
        writer.u16(chunk.word)?;
    }
    for delta in all.flatten() {
        match u8::try_from(delta) {
            Ok(small) => writer.u8(small)?,
            Err(_) => writer.put(&delta.to_be_bytes())?,
        }
    }
    Ok(arrivals.len().saturating_sub(rest.len()))
}

fn ticks(at: Duration) -> i64 {
    let seconds = at.as_secs().saturating_mul(TICKS_PER_SECOND);
    i64::try_from(seconds.saturating_add(u64::from(at.subsec_micros() / TICK_MICROS))).unwrap_or(i64::MAX)
}

/// What is still to be told: the delta, or the loss, of each packet from `seq` to the last arrival. It ends
/// early at an arrival that no delta can tell.
#[derive(Clone, Debug)]
struct Untold<'a> {
    seq: u64,
    /// When the packet before arrived.
    tick: i64,
    arrivals: &'a [Arrival],
}

/// One chunk and how many bytes of deltas belong to it.
struct Written {
    word: u16,
    deltas_len: usize,
}

impl Untold<'_> {
    /// How many arrivals fit into `room` bytes of chunks and deltas, and into the count of one message.
    fn fit(mut self, room: usize) -> usize {
        let all = self.arrivals.len();
        let base = self.seq;
        let mut used = 0_usize;
        let mut fitting = 0;
        while let Some(chunk) = self.next_chunk() {
            used = used.saturating_add(2).saturating_add(chunk.deltas_len);
            if used > room || self.seq.saturating_sub(base) > u64::from(STATUSES_MAX) {
                break;
            }
            fitting = all.saturating_sub(self.arrivals.len());
        }
        fitting
    }

    /// The chunk that tells of the most packets.
    fn next_chunk(&mut self) -> Option<Written> {
        const ONE_BIT: usize = VECTOR_ONE_BIT as usize;
        const TWO_BITS_EACH: usize = VECTOR_TWO_BITS as usize;
        // A gap is skipped in one step: a client can make it as long as it likes.
        let gap = self.arrivals.first()?.seq.saturating_sub(self.seq).min(u64::from(RUN_MAX));
        if gap >= u64::from(VECTOR_ONE_BIT) {
            self.seq = self.seq.saturating_add(gap);
            return Some(Written { word: u16::try_from(gap).ok()?, deltas_len: 0 });
        }
        let ahead = self.clone().map(status);
        let first = ahead.clone().next()?;
        let run = ahead.clone().take(usize::from(RUN_MAX)).take_while(|status| *status == first).count();
        let known = ahead.clone().take(ONE_BIT).count();
        let small = ahead.clone().take(ONE_BIT).all(|status| status != Status::Large);
        let (word, len) = if run >= known || (!small && run >= TWO_BITS_EACH) {
            ((first as u16) << 13 | u16::try_from(run).ok()?, run)
        } else if small {
            (VECTOR | vector(ahead, 1, ONE_BIT), ONE_BIT)
        } else {
            (VECTOR | TWO_BITS | vector(ahead, 2, TWO_BITS_EACH), TWO_BITS_EACH)
        };
        let deltas_len = self.by_ref().take(len).map(|delta| status(delta).delta_len()).sum();
        Some(Written { word, deltas_len })
    }
}

/// The statuses as `bits` bits each from the top, below the two bits that name the kind of vector. Those that
/// are not there are zero.
fn vector(statuses: impl Iterator<Item = Status>, bits: u16, len: usize) -> u16 {
    let statuses = statuses.map(|status| status as u16).chain(std::iter::repeat(0));
    statuses.take(len).fold(0, |word, status| word << bits | status)
}

fn status(delta: Option<i16>) -> Status {
    match delta {
        None => Status::Lost,
        Some(0..=255) => Status::Small,
        Some(_) => Status::Large,
    }
}

impl Iterator for Untold<'_> {
    type Item = Option<i16>;

    fn next(&mut self) -> Option<Self::Item> {
        let (first, rest) = self.arrivals.split_first()?;
        if first.seq < self.seq {
            return None;
        }
        if first.seq > self.seq {
            self.seq = self.seq.saturating_add(1);
            return Some(None);
        }
        let tick = ticks(first.at);
        let delta = tick.checked_sub(self.tick).and_then(|delta| i16::try_from(delta).ok())?;
        *self = Self { seq: self.seq.saturating_add(1), tick, arrivals: rest };
        Some(Some(delta))
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests {
    use super::{super::Packet, *};

    const MESSAGE: Message = Message { sender: Ssrc(1), media: Ssrc(2), message: 3, base: 100 };

    #[test]
    fn what_arrived_is_told_and_so_is_what_did_not() {
        let arrivals = [(100, 1_000), (101, 1_250), (105, 9_000), (106, 8_000), (107, 200_000)].map(arrival);

        assert_eq!(
            told(MESSAGE, &arrivals, 200),
            (
                vec![
                    (100, Some(1_000)),
                    (101, Some(1_250)),
                    (102, None),
                    (103, None),
                    (104, None),
                    (105, Some(9_000)),
                    (106, Some(8_000)),
                    (107, Some(200_000)),
                ],
                5
            )
        );
    }

    #[test]
    fn packets_lost_before_the_first_arrival_are_told() {
        let (told, _) = told(MESSAGE, &[arrival((103, 0))], 200);

        assert_eq!(told, [(100, None), (101, None), (102, None), (103, Some(0))]);
    }

    #[test]
    fn equal_statuses_are_one_chunk() {
        let arrivals: Vec<_> = (0..1_000).map(|at| arrival((100 + at, at * 250))).collect();
        let mut out = [0; 1_500];
        let mut writer = CompoundWriter::new(&mut out);

        assert_eq!(writer.transport_cc(&MESSAGE, &arrivals), Ok(1_000));

        assert_eq!(writer.len(), 20 + 2 + 1_000 + 2, "a header, one chunk, deltas, padding");
    }

    #[test]
    fn a_message_ends_where_its_buffer_does() {
        let arrivals: Vec<_> = (0..600).map(|at| arrival((100 + at * 3, at * 1_000))).collect();
        for room in 0..=1_200 {
            let mut out = vec![0; room];
            let mut writer = CompoundWriter::new(&mut out);
            match writer.transport_cc(&MESSAGE, &arrivals) {
                Ok(count) => assert!(count > 0),
                Err(Full) => assert!(room < 40 && writer.is_empty(), "room {room}"),
            }
        }
    }

    #[test]
    fn a_message_ends_where_no_delta_can_tell() {
        let late = [arrival((100, 0)), arrival((101, 8_191_750)), arrival((102, 16_400_000))];
        let unordered = [arrival((100, 0)), arrival((100, 250)), arrival((99, 500))];
        let far = [arrival((100, 0)), arrival((9_000, 250))];

        assert_eq!(told(MESSAGE, &late, 200).1, 2);
        assert_eq!(told(MESSAGE, &unordered, 200).1, 1);
        assert_eq!(told(MESSAGE, &far, 200).1, 1);
        assert_eq!(CompoundWriter::new(&mut [0; 200]).transport_cc(&MESSAGE, &[]), Err(Full));
        let before = [arrival((99, 0))];
        assert_eq!(CompoundWriter::new(&mut [0; 200]).transport_cc(&MESSAGE, &before), Err(Full));
    }

    #[test]
    fn whatever_arrives_is_told_in_the_end() {
        let mut random = 5_u64;
        let mut below = |range: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % range
        };
        for _ in 0..200 {
            let (loss, jitter) = (below(8), 1 + below(200_000));
            let (mut seq, mut at) = (65_400 + below(200), below(20_000_000));
            let mut arrivals = Vec::new();
            for _ in 0..500 {
                seq += 1 + if below(8) < loss { below(30) } else { 0 };
                at = (at + below(jitter)).saturating_sub(jitter / 3);
                arrivals.push(arrival((seq, at)));
            }
            let room = 60 + usize::try_from(below(1_200)).unwrap();

            let mut left = &arrivals[..];
            let mut message = Message { base: arrivals[0].seq, ..MESSAGE };
            while !left.is_empty() {
                let (statuses, count) = told(message, left, room);
                let arrived = statuses.iter().filter_map(|(seq, at)| at.map(|at| arrival((*seq, at))));
                assert!(arrived.eq(left[..count].iter().copied().map(in_ticks)));
                message.base = left[count - 1].seq + 1;
                left = &left[count..];
            }
        }
    }

    #[test]
    fn a_chunk_may_have_statuses_to_spare() {
        // Three packets: a run of 100 that arrived; a vector with fourteen bits.
        for chunk in [0x2064_u16, 0xb800] {
            let [high, low] = chunk.to_be_bytes();
            let bytes = [0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 3, 0, 0, 0, 0, high, low, 1, 2, 3, 0];
            let feedback = Feedback::parse(Reader::new(&bytes)).unwrap();
            let deltas: Vec<_> =
                feedback.statuses().map(|(seq, delta)| (seq.0, delta.unwrap().as_micros())).collect();
            assert_eq!(deltas, [(9, 250), (10, 500), (11, 750)], "{chunk:x}");
        }
    }

    #[test]
    fn made_up_feedback_is_refused() {
        let head = [0, 0, 0, 1, 0, 0, 0, 2, 0, 9];
        let refused: [&[u8]; 7] = [
            &[0, 0, 0, 0, 0, 0, 0, 0],
            &[0x20, 0x01, 0, 0, 0, 0, 0x3f, 0xff, 0x3f, 0xff],
            &[0, 1, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0x20, 0x01],
            &[0, 1, 0, 0, 0, 0, 0x40, 0x01, 9],
            &[0, 1, 0, 0, 0, 0, 0x60, 0x01, 9, 9],
            &[0, 1, 0, 0, 0, 0, 0x20, 0x00, 0x20, 0x00],
        ];
        for body in refused {
            let bytes: Vec<_> = head.iter().chain(body).copied().collect();
            assert!(Feedback::parse(Reader::new(&bytes)).is_none(), "{body:x?}");
        }
    }

    #[test]
    fn the_reference_time_is_signed_and_wraps() {
        let mut bytes = [0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 1, 0xff, 0xff, 0xff, 0, 0, 1];
        assert_eq!(Feedback::parse(Reader::new(&bytes)).unwrap().reference_micros(), -64_000);

        bytes[12..15].copy_from_slice(&[0, 0, 2]);
        assert_eq!(Feedback::parse(Reader::new(&bytes)).unwrap().reference_micros(), 128_000);
    }

    fn arrival((seq, micros): (u64, u64)) -> Arrival {
        Arrival { seq, at: Duration::from_micros(micros) }
    }

    fn in_ticks(arrival: Arrival) -> Arrival {
        let micros = arrival.at.as_micros() / 250 * 250;
        Arrival { at: Duration::from_micros(u64::try_from(micros).unwrap()), ..arrival }
    }

    /// Writes one message and reads it: each packet and when it arrived, and how many arrivals were told.
    fn told(message: Message, arrivals: &[Arrival], room: usize) -> (Vec<(u64, Option<u64>)>, usize) {
        let mut out = vec![0; room];
        let mut writer = CompoundWriter::new(&mut out);
        let count = writer.transport_cc(&message, arrivals).unwrap();
        let len = writer.len();
        let Some(Ok(Packet::TransportCc(feedback))) = super::super::parse(&out[..len]).next() else {
            panic!("not feedback: {:x?}", &out[..len]);
        };
        assert_eq!((feedback.sender, feedback.media, feedback.message), (Ssrc(1), Ssrc(2), 3));
        let mut at = feedback.reference_micros();
        let statuses = feedback.statuses().map(|(seq, delta)| {
            let seq = seq.extend(message.base);
            let Some(delta) = delta else { return (seq, None) };
            at += delta.as_micros();
            (seq, Some(u64::try_from(at).unwrap()))
        });
        (statuses.collect(), count)
    }
}
