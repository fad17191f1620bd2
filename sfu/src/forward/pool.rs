//! Buffers for payloads, by size: taken when a packet arrives, given back when its slot is taken over.
//!
//! Invariant: in steady work each packet stored returns the buffer of the one it replaces, so nothing is allocated.

/// Small: speech. Middle: the last packet of a frame, small pictures. Large: a full packet.
const SIZES: [usize; 3] = [256, 768, 1_536];

/// Idle buffers kept per size. Higher: smoother under bursts. Lower: less memory after a track has gone.
const IDLE_MAX: usize = 256;

/// Idle buffers of one room.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: [Vec<Box<[u8]>>; SIZES.len()],
}

impl Pool {
    /// A buffer of at least `len` bytes, or `None` when no packet may be that large.
    pub(crate) fn take(&mut self, len: usize) -> Option<Box<[u8]>> {
        let class = SIZES.iter().position(|size| len <= *size)?;
        let size = *SIZES.get(class)?;
        self.idle.get_mut(class)?.pop().or_else(|| Some(vec![0; size].into_boxed_slice()))
    }

    /// Gives a buffer back; an empty one was never taken.
    pub(crate) fn give(&mut self, buffer: Box<[u8]>) {
        let Some(class) = SIZES.iter().position(|size| buffer.len() == *size) else { return };
        let Some(idle) = self.idle.get_mut(class) else { return };
        if idle.len() < IDLE_MAX {
            idle.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_given_back_is_taken_again() {
        let mut pool = Pool::default();
        let mut buffer = pool.take(100).unwrap();
        buffer[0] = 7;

        pool.give(buffer);

        assert_eq!(pool.take(200).unwrap()[0], 7);
    }

    #[test]
    fn nothing_larger_than_a_packet_is_had() {
        assert!(Pool::default().take(1_536).is_some());
        assert!(Pool::default().take(1_537).is_none());
    }
}
