//! The last packets of one encoding: what is forwarded from, and what retransmissions are answered from.
//!
//! Invariants:
//! - a slot holds the packet whose extended sequence number, modulo the capacity, is the slot's place;
//! - the capacity is a power of two between [`CAPACITY_MIN`] and the limit given, and doubles only while packets
//!   would be overwritten that are younger than [`AGE_KEPT`];
//! - a packet that was given up does not come back: a number is news once;
//! - memory: 112 bytes a slot, and a payload buffer for each slot in use.

use std::time::{Duration, Instant};

use super::packet::Packet;

/// How long a packet is worth keeping: older ones come too late for any jitter buffer.
const AGE_KEPT: Duration = Duration::from_secs(1);
/// Where every ring begins.
const CAPACITY_MIN: usize = 64;
/// 512 packets of 1,200 bytes are 0.6 s at 8 Mbit/s. Higher: survives longer round trips. Lower: less memory.
pub(crate) const CAPACITY_VIDEO: usize = 512;
/// 128 packets are 2.5 s of speech.
pub(crate) const CAPACITY_AUDIO: usize = 128;

/// What became of a packet that was put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Stored. The packet whose slot it took, if any, comes back for its buffer.
    Stored(Option<Packet>),
    /// It was there already.
    Duplicate(Packet),
    /// Its slot holds a newer one.
    Stale(Packet),
}

/// Packets by extended sequence number.
#[derive(Debug)]
pub(crate) struct Ring {
    slots: Vec<Option<Packet>>,
    capacity_max: usize,
    highest: Option<u64>,
    /// One more than the newest packet that gave its slot away.
    given_up: u64,
}

impl Ring {
    pub(crate) fn new(capacity_max: usize) -> Self {
        Self { slots: Vec::new(), capacity_max, highest: None, given_up: 0 }
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&Packet> {
        self.slots.get(self.place(seq))?.as_ref().filter(|packet| packet.seq == seq)
    }

    pub(crate) fn get_mut(&mut self, seq: u64) -> Option<&mut Packet> {
        let place = self.place(seq);
        self.slots.get_mut(place)?.as_mut().filter(|packet| packet.seq == seq)
    }

    /// Whether a packet with this number is stored.
    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.get(seq).is_some()
    }

    pub(crate) fn insert(&mut self, packet: Packet, now: Instant) -> Inserted {
        self.grow_for(&packet, now);
        let highest = self.highest;
        let place = self.place(packet.seq);
        let Some(slot) = self.slots.get_mut(place) else { return Inserted::Stale(packet) };
        if let Some(held) = slot {
            if held.seq == packet.seq {
                return Inserted::Duplicate(packet);
            }
            if held.seq > packet.seq {
                return Inserted::Stale(packet);
            }
            self.given_up = self.given_up.max(held.seq + 1);
        } else if packet.seq < self.given_up
            || highest.is_some_and(|highest| packet.seq + self.capacity_max as u64 <= highest)
        {
            return Inserted::Stale(packet);
        }
        self.highest = Some(highest.map_or(packet.seq, |highest| highest.max(packet.seq)));
        Inserted::Stored(slot.replace(packet))
    }

    /// Everything stored, for its buffers.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Packet> + '_ {
        self.slots.drain(..).flatten()
    }

    fn place(&self, seq: u64) -> usize {
        // The mask keeps the low bits only, so nothing is lost by the cast.
        #[expect(clippy::cast_possible_truncation, reason = "masked to the capacity, which is a usize")]
        let low = seq as usize;
        low & self.slots.len().wrapping_sub(1)
    }

    fn grow_for(&mut self, packet: &Packet, now: Instant) {
        if self.slots.is_empty() {
            self.slots.resize_with(CAPACITY_MIN, || None);
        }
        while self.slots.len() < self.capacity_max && self.would_lose_young(packet, now) {
            let old = std::mem::take(&mut self.slots);
            let doubled = old.len() * 2;
            self.slots.resize_with(doubled, || None);
            for packet in old.into_iter().flatten() {
                let place = self.place(packet.seq);
                if let Some(slot) = self.slots.get_mut(place) {
                    *slot = Some(packet);
                }
            }
        }
    }

    fn would_lose_young(&self, packet: &Packet, now: Instant) -> bool {
        let Some(Some(held)) = self.slots.get(self.place(packet.seq)) else { return false };
        held.seq < packet.seq && now.saturating_duration_since(held.arrival) < AGE_KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, forward::packet::tests::packet};

    fn full(ring: &mut Ring, seqs: impl Iterator<Item = u64>, now: Instant) {
        for seq in seqs {
            ring.insert(packet(seq, now), now);
        }
    }

    #[test]
    fn what_was_stored_is_found_until_its_slot_is_taken() {
        let now = fixture::start();
        let late = now + AGE_KEPT;
        let mut ring = Ring::new(CAPACITY_VIDEO);
        full(&mut ring, 0..64, now);

        assert!(ring.contains(0));
        full(&mut ring, 64..65, late);

        assert!(!ring.contains(0));
        assert!(ring.contains(64));
        assert_eq!(ring.slots.len(), 64, "old packets give way");
    }

    #[test]
    fn young_packets_make_the_ring_grow_up_to_its_limit() {
        let now = fixture::start();
        let mut ring = Ring::new(CAPACITY_VIDEO);

        full(&mut ring, 0..2_000, now);

        assert_eq!(ring.slots.len(), CAPACITY_VIDEO);
        assert!((2_000 - 512..2_000).all(|seq| ring.contains(seq)));
    }

    #[test]
    fn a_packet_is_stored_once() {
        let now = fixture::start();
        let mut ring = Ring::new(CAPACITY_AUDIO);
        full(&mut ring, 10..11, now);

        assert!(matches!(ring.insert(packet(10, now), now), Inserted::Duplicate(_)));
    }

    #[test]
    fn a_packet_older_than_the_ring_is_stale() {
        let now = fixture::start();
        let mut ring = Ring::new(CAPACITY_AUDIO);
        full(&mut ring, 1_000..1_001, now);

        assert!(matches!(ring.insert(packet(1_000 - 128, now), now), Inserted::Stale(_)));
        assert!(matches!(
            ring.insert(packet(1_000 - 64, now), now),
            Inserted::Stored(None) | Inserted::Stale(_)
        ));
    }

    #[test]
    fn what_was_given_up_does_not_come_back_when_the_ring_grows() {
        let now = fixture::start();
        let late = now + AGE_KEPT;
        let mut ring = Ring::new(CAPACITY_VIDEO);
        full(&mut ring, 0..64, now);
        full(&mut ring, 64..128, late);
        full(&mut ring, 128..140, late);

        assert!(ring.slots.len() > 64, "its old place is empty");
        assert!(matches!(ring.insert(packet(60, late), late), Inserted::Stale(_)));
    }

    #[test]
    fn a_jump_far_ahead_costs_one_slot() {
        let now = fixture::start();
        let mut ring = Ring::new(CAPACITY_VIDEO);
        full(&mut ring, 0..10, now);

        full(&mut ring, 30_000..30_001, now);

        assert_eq!(ring.highest, Some(30_000));
        assert!(ring.slots.len() <= CAPACITY_VIDEO);
    }
}
