//! The last bytes of every payload: what it is and when it left.
//!
//! Invariant: what was not stamped here is not read as a stamp.

const MAGIC: [u8; 4] = *b"sbha";

/// What one packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Who sent it.
    pub(crate) publisher: u32,
    /// Which of its devices.
    pub(crate) device: u8,
    /// Which encoding, from the lowest up.
    pub(crate) layer: u8,
    /// Whether the picture needs no other.
    pub(crate) keyframe: bool,
    /// The picture, counted from the first of its encoding.
    pub(crate) frame: u32,
    /// Which packet of the picture.
    pub(crate) packet: u16,
    /// How many there are.
    pub(crate) packets: u16,
    /// Nanoseconds since 1970.
    pub(crate) sent: u64,
}

impl Stamp {
    /// How many bytes it takes.
    pub(crate) const LEN: usize = 28;

    pub(crate) fn write(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let fields: [&[u8]; 7] = [
            &MAGIC,
            &self.publisher.to_be_bytes(),
            &[self.device, self.layer, u8::from(self.keyframe), 0],
            &self.frame.to_be_bytes(),
            &self.packet.to_be_bytes(),
            &self.packets.to_be_bytes(),
            &self.sent.to_be_bytes(),
        ];
        for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        bytes
    }

    /// At the end of a payload without padding.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let bytes = payload.last_chunk::<{ Self::LEN }>()?;
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (publisher, rest) = rest.split_first_chunk::<4>()?;
        let ([device, layer, keyframe, _], rest) = rest.split_first_chunk::<4>()?;
        let (frame, rest) = rest.split_first_chunk::<4>()?;
        let (packet, rest) = rest.split_first_chunk::<2>()?;
        let (packets, rest) = rest.split_first_chunk::<2>()?;
        let sent = rest.first_chunk::<8>()?;
        (*magic == MAGIC).then_some(Self {
            publisher: u32::from_be_bytes(*publisher),
            device: *device,
            layer: *layer,
            keyframe: *keyframe != 0,
            frame: u32::from_be_bytes(*frame),
            packet: u16::from_be_bytes(*packet),
            packets: u16::from_be_bytes(*packets),
            sent: u64::from_be_bytes(*sent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp {
            publisher: 70_000,
            device: 1,
            layer: 2,
            keyframe: true,
            frame: 9,
            packet: 3,
            packets: 300,
            sent: 1 << 60,
        };
        let payload = [&[1, 2, 3][..], &stamp.write()].concat();

        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(Stamp::read(&[0; 100]), None);
        assert_eq!(Stamp::read(&[]), None);
    }
}
