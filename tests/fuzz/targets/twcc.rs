//! Transport-wide feedback that is written about made-up arrivals is read back as it was.

use std::time::Duration;

use sfu::{
    rtcp::{CompoundWriter, Packet, parse, twcc::Arrival, twcc::Message},
    units::Ssrc,
};

/// Two bytes of room and base; then for each arrival a byte of gap and two of time.
pub fn run(data: &[u8]) {
    let Some(([room, base], steps)) = data.split_first_chunk() else { return };
    let base = u64::from(*base) << 8;
    let mut seq = base;
    let mut at = 1_u64 << 32;
    let mut arrivals = Vec::new();
    for [gap, high, low] in steps.as_chunks().0 {
        seq += u64::from(*gap);
        at = at.saturating_add_signed(i64::from(i16::from_be_bytes([*high, *low])) * 331);
        arrivals.push(Arrival { seq, at: Duration::from_micros(at / 250 * 250) });
    }
    let mut out = vec![0; usize::from(*room) * 5];
    let mut writer = CompoundWriter::new(&mut out);
    let message = Message { sender: Ssrc(1), media: Ssrc(2), message: 3, base };
    let Ok(told) = writer.transport_cc(&message, &arrivals) else { return };
    let len = writer.len();

    let Some(Ok(Packet::TransportCc(feedback))) = parse(out.get(..len).unwrap_or_default()).next() else {
        panic!("what was written is not read");
    };
    let mut micros = feedback.reference_micros();
    let read: Vec<_> = feedback
        .statuses()
        .filter_map(|(seq, delta)| {
            micros += delta?.as_micros();
            Some((seq.extend(base), micros))
        })
        .collect();
    // The reference time keeps 24 bits of 64 ms.
    let range = 64_000_i64 << 24;
    let expected = arrivals.get(..told).expect("no more than there are").iter();
    assert!(told > 0 && read.len() == told);
    for ((seq, micros), arrival) in read.into_iter().zip(expected) {
        assert_eq!(seq, arrival.seq);
        assert_eq!(
            micros.rem_euclid(range),
            i64::try_from(arrival.at.as_micros()).unwrap_or(0).rem_euclid(range)
        );
    }
}
