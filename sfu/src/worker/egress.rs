//! Where a worker writes datagrams: a send arena in production, a simulated link in tests.

use crate::params::Remote;

/// Takes datagrams one at a time.
///
/// Consecutive datagrams of equal length to one destination can leave as one segmented send; the last of such a
/// run may be shorter.
pub trait Egress {
    /// Room for one datagram to `to` of at most `len_max` bytes. A datagram begun and not committed is forgotten.
    fn begin(&mut self, to: Remote, len_max: usize) -> &mut [u8];
    /// Ends the datagram that was begun: its first `len` bytes are to be sent.
    fn commit(&mut self, len: usize);
}
