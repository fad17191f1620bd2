//! A receiver that tells what arrived, in real feedback messages.

use std::{collections::BTreeMap, time::Duration};

use super::super::Micros;
use crate::{
    rtcp::{CompoundWriter, twcc},
    units::{SeqNo, Ssrc},
};

#[derive(Debug, Default)]
pub(crate) struct Receiver {
    untold: BTreeMap<u64, Micros>,
    highest: Option<u64>,
    base: Option<u64>,
    message: u8,
}

impl Receiver {
    pub(crate) fn arrived(&mut self, seq: SeqNo, at: Micros) {
        let seq = seq.extend(self.highest.unwrap_or(65_536 + u64::from(seq.0)));
        self.highest = Some(self.highest.map_or(seq, |highest| highest.max(seq)));
        self.untold.insert(seq, at);
    }

    /// What arrived since the last message, when anything did; as much as one carries.
    pub(crate) fn feedback(&mut self) -> Option<Vec<u8>> {
        let first = *self.untold.keys().next()?;
        let base = self.base.map_or(first, |base| base.min(first));
        let arrivals: Vec<_> = self
            .untold
            .iter()
            .map(|(seq, at)| twcc::Arrival {
                seq: *seq,
                at: Duration::from_micros(u64::try_from(at.0).unwrap()),
            })
            .collect();
        let mut out = vec![0; 1_200];
        let mut writer = CompoundWriter::new(&mut out);
        writer.receiver_report(Ssrc(1), &[]).unwrap();
        let message = twcc::Message { sender: Ssrc(1), media: Ssrc(2), message: self.message, base };
        let told = writer.transport_cc(&message, &arrivals).unwrap();
        let len = writer.len();
        out.truncate(len);
        self.message = self.message.wrapping_add(1);
        let last = arrivals[told - 1].seq;
        self.untold.retain(|seq, _| *seq > last);
        self.base = Some(last + 1);
        Some(out)
    }
}
