//! Compound RTCP packets on their way to one client.
//!
//! Invariant: each begins with a report (RFC 3550 §6.1) and fits a datagram.

use crate::{
    params::Remote,
    rtcp::{CompoundWriter, Full},
    srtp::{OVERHEAD_MAX, Sealer},
    units::Ssrc,
    worker::{Counters, Egress},
};

/// What fits a datagram on every path (RFC 8200 §5, less headers).
pub(super) const COMPOUND_MAX: usize = 1_150;

/// Compound packets on their way to one client.
pub(super) struct Post<'a, E> {
    pub(super) egress: &'a mut E,
    pub(super) sealer: &'a mut Sealer,
    pub(super) counters: &'a mut Counters,
    pub(super) to: Remote,
    pub(super) from: Ssrc,
    pub(super) bytes: [u8; COMPOUND_MAX],
    pub(super) len: usize,
}

impl<E: Egress> Post<'_, E> {
    /// Adds a report.
    pub(super) fn report(&mut self, write: impl Fn(&mut CompoundWriter<'_>) -> Result<(), Full>) {
        if self.append(&write).is_err() {
            self.dispatch();
            let _ = self.append(&write);
        }
    }

    /// Adds anything that is not a report, and so cannot stand first.
    pub(super) fn add<T>(
        &mut self,
        mut write: impl FnMut(&mut CompoundWriter<'_>) -> Result<T, Full>,
    ) -> Option<T> {
        for _ in 0..2 {
            let from = self.from;
            if self.len == 0 {
                self.append(|writer| writer.receiver_report(from, &[])).ok()?;
            }
            if let Ok(written) = self.append(&mut write) {
                return Some(written);
            }
            self.dispatch();
        }
        None
    }

    fn append<T>(
        &mut self,
        write: impl FnOnce(&mut CompoundWriter<'_>) -> Result<T, Full>,
    ) -> Result<T, Full> {
        let mut writer = CompoundWriter::new(self.bytes.get_mut(self.len..).ok_or(Full)?);
        let written = write(&mut writer)?;
        self.len += writer.len();
        Ok(written)
    }

    /// Sends what was gathered.
    pub(super) fn dispatch(&mut self) {
        let compound = self.bytes.get(..self.len).unwrap_or_default();
        if compound.is_empty() {
            return;
        }
        let out = self.egress.begin(self.to, compound.len() + OVERHEAD_MAX);
        if let Ok(len) = self.sealer.seal_rtcp(compound, out) {
            self.egress.commit(len);
            self.counters.datagrams_out += 1;
            self.counters.bytes_out += len as u64;
        }
        self.len = 0;
    }
}
