//! What a receiver tells: which packets came and when, for the server's congestion control, and receiver reports.

use std::time::Duration;

use sfu::{
    rtcp::{
        CompoundWriter, Full, ReportBlock,
        twcc::{Arrival, Message},
    },
    units::{SeqNo, Ssrc},
};

/// RFC 3550 §6.4.1: blocks in one report.
pub(crate) const BLOCKS_MAX: usize = 31;

/// Which packets of a transport came since the last feedback.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    arrivals: Vec<Arrival>,
    highest: Option<u64>,
    /// The first packet that nothing was told of.
    base: u64,
    message: u8,
}

impl Arrivals {
    pub(crate) fn add(&mut self, seq: u16, at: Duration) {
        let seq = match self.highest {
            Some(highest) => SeqNo(seq).extend(highest),
            None => {
                let first = u64::from(seq) + 65_536;
                self.base = first;
                first
            }
        };
        self.highest = Some(self.highest.map_or(seq, |highest| highest.max(seq)));
        self.arrivals.push(Arrival { seq, at });
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// Writes one message about what it has room for; the rest stays for another.
    pub(crate) fn write(&mut self, writer: &mut CompoundWriter<'_>, media: Ssrc) -> Result<(), Full> {
        self.arrivals.sort_unstable_by_key(|arrival| arrival.seq);
        self.arrivals.dedup_by_key(|arrival| arrival.seq);
        let Some(first) = self.arrivals.first() else { return Ok(()) };
        let base = self.base.min(first.seq);
        let message = Message { sender: OWN, media, message: self.message, base };
        let told = writer.transport_cc(&message, &self.arrivals)?;
        self.message = self.message.wrapping_add(1);
        let last = told.checked_sub(1).and_then(|last| self.arrivals.get(last));
        self.base = self.base.max(last.map_or(self.base, |last| last.seq + 1));
        self.arrivals.drain(..told);
        Ok(())
    }

    /// Forgets what could not be told.
    pub(crate) fn clear(&mut self) {
        self.arrivals.clear();
    }
}

/// Who reports, when a client sends nothing of its own; libwebrtc uses 1 too.
pub(crate) const OWN: Ssrc = Ssrc(1);

/// Writes receiver reports for all streams, as many as it takes.
pub(crate) fn receiver_reports(writer: &mut CompoundWriter<'_>, blocks: &[ReportBlock]) -> Result<(), Full> {
    blocks.chunks(BLOCKS_MAX).try_for_each(|blocks| writer.receiver_report(OWN, blocks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfu::rtcp::{Packet, parse};

    #[test]
    fn what_came_is_told_once_and_what_did_not_is_told_as_lost() {
        let mut arrivals = Arrivals::default();
        for (seq, at) in [(65_535, 10), (1, 20)] {
            arrivals.add(seq, Duration::from_millis(at));
        }
        let mut out = [0; 200];
        let mut writer = CompoundWriter::new(&mut out);

        arrivals.write(&mut writer, Ssrc(7)).unwrap();

        let len = writer.len();
        let Some(Ok(Packet::TransportCc(feedback))) = parse(&out[..len]).next() else {
            panic!("no feedback")
        };
        let told: Vec<(u16, bool)> =
            feedback.statuses().map(|(seq, delta)| (seq.0, delta.is_some())).collect();
        assert_eq!(told, [(65_535, true), (0, false), (1, true)]);
        assert!(arrivals.is_empty());
    }
}
