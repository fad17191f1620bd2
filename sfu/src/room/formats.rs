//! What the payload types of a publisher mean.

use crate::{params::PayloadFormat, units::PayloadType};

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It was not negotiated.
    #[default]
    Unknown,
    /// Media.
    Media(PayloadFormat),
    /// Retransmissions of media in this format (RFC 4588 §8.6: `apt`).
    Repair(PayloadFormat),
}

/// The payload types of one transport.
#[derive(Debug, Default)]
pub(crate) struct Formats {
    // One entry for each of the 128 payload types, none before the first format.
    by_number: Vec<Meaning>,
}

impl Formats {
    pub(crate) fn new(formats: &[PayloadFormat]) -> Self {
        let mut by_number = vec![Meaning::Unknown; 128];
        let mut put = |number: PayloadType, meaning| {
            if let Some(slot) = by_number.get_mut(usize::from(number.value())) {
                *slot = meaning;
            }
        };
        for format in formats {
            if let Some(rtx) = format.rtx {
                put(rtx, Meaning::Repair(*format));
            }
        }
        for format in formats {
            put(format.payload_type, Meaning::Media(*format));
        }
        Self { by_number }
    }

    pub(crate) fn meaning(&self, number: PayloadType) -> Meaning {
        self.by_number.get(usize::from(number.value())).copied().unwrap_or_default()
    }
}
