//! RTP header extensions (RFC 8285): the elements of a packet and the values of those we use.

use crate::wire::Reader;

/// RFC 8285 §4.2.
const ONE_BYTE_PROFILE: u16 = 0xbede;
/// RFC 8285 §4.3: the lowest four bits are the application's.
const TWO_BYTE_PROFILE: u16 = 0x1000;
const TWO_BYTE_PROFILE_MASK: u16 = 0xfff0;
/// RFC 8285 §4.2: whatever follows identifier 15 is not to be read.
const ONE_BYTE_STOP: u8 = 15;

/// The header extensions of one packet that are still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a> {
    form: Form,
    elements: Reader<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
}

impl Default for Extensions<'_> {
    fn default() -> Self {
        Self { form: Form::OneByte, elements: Reader::new(&[]) }
    }
}

impl<'a> Extensions<'a> {
    /// A block of another profile than the two of RFC 8285 has no elements.
    pub(super) fn new(profile: u16, block: &'a [u8]) -> Self {
        let elements = Reader::new(block);
        match profile {
            ONE_BYTE_PROFILE => Self { form: Form::OneByte, elements },
            _ if profile & TWO_BYTE_PROFILE_MASK == TWO_BYTE_PROFILE => {
                Self { form: Form::TwoByte, elements }
            }
            _ => Self::default(),
        }
    }

    fn one_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let head = self.elements.u8()?;
            match head >> 4 {
                0 if head == 0 => {}
                // RFC 8285 §4.2: an identifier of zero with a length ends the elements too.
                0 | ONE_BYTE_STOP => return None,
                id => return Some((id, self.elements.take(usize::from(head & 0x0f).saturating_add(1))?)),
            }
        }
    }

    fn two_byte(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let id = self.elements.u8()?;
            if id == 0 {
                continue;
            }
            let len = self.elements.u8()?;
            return Some((id, self.elements.take(usize::from(len))?));
        }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = match self.form {
            Form::OneByte => self.one_byte(),
            Form::TwoByte => self.two_byte(),
        };
        if element.is_none() {
            self.elements = Reader::new(&[]);
        }
        element
    }
}

/// Whether a packet of sound holds speech, as its sender thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// It does.
    Speech,
    /// It does not, or the sender cannot tell.
    Unknown,
}

/// How loud a packet of sound is (RFC 6464 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// What the sender's detector says.
    pub voice: Voice,
    /// Decibels below the loudest: 0 is loudest, 127 is silence.
    pub attenuation: u8,
}

impl AudioLevel {
    /// As the extension carries it: RFC 6464 has one byte, the two-byte form may add another.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let byte = *value.first()?;
        let voice = if byte & 0x80 != 0 { Voice::Speech } else { Voice::Unknown };
        Some(Self { voice, attenuation: byte & 0x7f })
    }

    /// As the extension carries it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 1] {
        let voice = match self.voice {
            Voice::Speech => 0x80,
            Voice::Unknown => 0,
        };
        [voice | (self.attenuation & 0x7f)]
    }
}

/// When a packet left, in seconds as 6.18 fixed point: it wraps every 64 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    /// From a time since any epoch.
    #[must_use]
    pub fn from_duration(since: std::time::Duration) -> Self {
        let seconds = (since.as_secs() & 0x3f) << 18;
        let fraction = (u64::from(since.subsec_nanos()) << 18) / 1_000_000_000;
        Self(u32::try_from((seconds | fraction) & 0x00ff_ffff).unwrap_or_default())
    }

    /// As the extension carries it.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        Reader::new(value).u24().map(Self).filter(|_| value.len() == 3)
    }

    /// As the extension carries it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }
}

/// The transport-wide sequence number in its extension
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2). To write it: `seq.to_be_bytes()`.
#[must_use]
pub fn transport_sequence(value: &[u8]) -> Option<u16> {
    // The second version of the extension appends two bytes that ask for feedback.
    Reader::new(value).u16().filter(|_| value.len() == 2 || value.len() == 4)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_byte_elements_are_read_past_padding_until_the_stop() {
        let block = [0x00, 0x10, 0xaa, 0x00, 0x21, 0xbb, 0xcc, 0xf0, 0x30, 0xdd];

        let elements: Vec<_> = Extensions::new(ONE_BYTE_PROFILE, &block).collect();

        assert_eq!(elements, [(1, &[0xaa][..]), (2, &[0xbb, 0xcc][..])]);
    }

    #[test]
    fn two_byte_elements_may_be_empty() {
        let block = [0x00, 0x10, 0x00, 0xff, 0x02, 1, 2, 0x00];

        let elements: Vec<_> = Extensions::new(0x1007, &block).collect();

        assert_eq!(elements, [(0x10, &[][..]), (0xff, &[1, 2][..])]);
    }

    #[test]
    fn an_element_that_ends_early_ends_the_extensions() {
        assert_eq!(Extensions::new(ONE_BYTE_PROFILE, &[0x1f, 1, 2]).count(), 0);
        assert_eq!(Extensions::new(ONE_BYTE_PROFILE, &[0x01, 9, 0x10, 1]).count(), 0);
        assert_eq!(Extensions::new(TWO_BYTE_PROFILE, &[1]).count(), 0);
        assert_eq!(Extensions::new(TWO_BYTE_PROFILE, &[1, 9, 0]).count(), 0);
        assert_eq!(Extensions::new(0xdead, &[0x10, 1, 0, 0]).count(), 0);
    }

    #[test]
    fn an_audio_level_goes_there_and_back() {
        for byte in 0..=255 {
            assert_eq!(AudioLevel::parse(&[byte]).unwrap().to_bytes(), [byte]);
        }
        assert_eq!(AudioLevel::parse(&[]), None);
    }

    #[test]
    fn an_absolute_send_time_wraps_after_64_seconds() {
        assert_eq!(AbsSendTime::from_duration(Duration::from_millis(1_500)).0, (1 << 18) + (1 << 17));
        assert_eq!(
            AbsSendTime::from_duration(Duration::from_secs(65)),
            AbsSendTime::from_duration(Duration::from_secs(1))
        );
        assert_eq!(AbsSendTime::parse(&AbsSendTime(0x12_3456).to_bytes()), Some(AbsSendTime(0x12_3456)));
        assert_eq!(AbsSendTime::parse(&[1, 2]), None);
    }

    #[test]
    fn a_transport_sequence_number_has_two_bytes_or_four() {
        assert_eq!(transport_sequence(&[1, 2]), Some(0x102));
        assert_eq!(transport_sequence(&[1, 2, 0, 1]), Some(0x102));
        assert_eq!(transport_sequence(&[1]), None);
        assert_eq!(transport_sequence(&[1, 2, 3]), None);
    }
}
