//! RTCP packets (RFC 3550 §6, RFC 4585, RFC 5104): read where they lie, written into the caller's buffer.
//!
//! Invariants:
//! - a packet that is handed out is whole: its counts fit its length, so its iterators cannot fail;
//! - the first malformed packet ends its compound packet.
#![warn(clippy::arithmetic_side_effects)]

mod feedback;
mod report;
pub mod twcc;
mod writer;

pub use self::{
    feedback::{FirEntries, FirEntry, Nacked, Ssrcs},
    report::{NtpTime, ReportBlock, ReportBlocks, SenderInfo},
    writer::CompoundWriter,
};
pub use crate::wire::Full;

use crate::{
    units::{Bitrate, Ssrc},
    wire::Reader,
};

/// RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2: what each packet is.
mod packet_type {
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SOURCE_DESCRIPTION: u8 = 202;
    pub(super) const GOODBYE: u8 = 203;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// RFC 4585 §6.2, §6.3, RFC 5104 §4.3.1: what each feedback message is.
mod format {
    pub(super) const NACK: u8 = 1;
    pub(super) const TRANSPORT_CC: u8 = 15;
    pub(super) const PLI: u8 = 1;
    pub(super) const FIR: u8 = 4;
    pub(super) const APPLICATION: u8 = 15;
}

const VERSION: u8 = 2 << 6;
const VERSION_MASK: u8 = 0b1100_0000;
const PADDING: u8 = 1 << 5;
const COUNT_MASK: u8 = 0x1f;

/// Why bytes are not a compound RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Not version 2.
    #[error("not RTCP version 2")]
    Version,
    /// The length field reaches past the end.
    #[error("a packet reaches past the end")]
    Truncated,
    /// RFC 3550 §6.4.1: the last byte counts the padding, itself included.
    #[error("padding does not fit")]
    Padding,
    /// Its counts do not fit its length, or a field has a value that means nothing.
    #[error("a packet of type {0} is malformed")]
    Malformed(u8),
}

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// RFC 3550 §6.4.1.
    SenderReport {
        /// Who reports.
        sender: Ssrc,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        blocks: ReportBlocks<'a>,
    },
    /// RFC 3550 §6.4.2.
    ReceiverReport {
        /// Who reports.
        sender: Ssrc,
        /// What it received.
        blocks: ReportBlocks<'a>,
    },
    /// RFC 3550 §6.6.
    Goodbye {
        /// Who leaves.
        sources: Ssrcs<'a>,
    },
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack {
        /// Who asks.
        sender: Ssrc,
        /// Of whom.
        media: Ssrc,
        /// The sequence numbers that are missing.
        missing: Nacked<'a>,
    },
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli {
        /// Who asks.
        sender: Ssrc,
        /// Of whom.
        media: Ssrc,
    },
    /// Full intra request (RFC 5104 §4.3.1).
    Fir {
        /// Who asks.
        sender: Ssrc,
        /// Of whom, each with a number that grows with every new request.
        entries: FirEntries<'a>,
    },
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2).
    Remb {
        /// Who estimates.
        sender: Ssrc,
        /// For all of them together.
        bitrate: Bitrate,
        /// What the estimate is for.
        sources: Ssrcs<'a>,
    },
    /// Arrival times for congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
    TransportCc(twcc::Feedback<'a>),
    /// Anything else, by its packet type: source descriptions, extended reports, the unknown.
    Other(u8),
}

/// The packets of a compound packet.
#[must_use]
pub const fn parse(compound: &[u8]) -> Packets<'_> {
    Packets { reader: Reader::new(compound) }
}

/// See [`parse`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    reader: Reader<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let packet = next_frame(&mut self.reader).and_then(|frame| frame.packet());
        if packet.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(packet)
    }
}

/// One packet whose content is still to be read.
struct Frame<'a> {
    packet_type: u8,
    /// The five bits after the padding bit: a count of blocks or the format of feedback.
    count: u8,
    content: &'a [u8],
}

/// RFC 3550 §6.4.1: the length is in words, less one.
fn next_frame<'a>(reader: &mut Reader<'a>) -> Result<Frame<'a>, RtcpError> {
    let [first, packet_type, high, low] = reader.array().ok_or(RtcpError::Truncated)?;
    if first & VERSION_MASK != VERSION {
        return Err(RtcpError::Version);
    }
    let words = u16::from_be_bytes([high, low]);
    let content = reader.take(usize::from(words).saturating_mul(4)).ok_or(RtcpError::Truncated)?;
    let content = if first & PADDING == 0 {
        content
    } else {
        let len = content.last().and_then(|count| content.len().checked_sub(usize::from(*count)));
        // Padding of packets that are not the last breaks the RFC, but libwebrtc pads every feedback.
        let len = len.filter(|len| *len != content.len());
        len.and_then(|len| content.get(..len)).ok_or(RtcpError::Padding)?
    };
    Ok(Frame { packet_type, count: first & COUNT_MASK, content })
}

impl<'a> Frame<'a> {
    fn packet(&self) -> Result<Packet<'a>, RtcpError> {
        let reader = Reader::new(self.content);
        let packet = match (self.packet_type, self.count) {
            (packet_type::SENDER_REPORT, count) => report::sender_report(count, reader),
            (packet_type::RECEIVER_REPORT, count) => report::receiver_report(count, reader),
            (packet_type::GOODBYE, count) => feedback::goodbye(count, reader),
            (packet_type::TRANSPORT_FEEDBACK, format::NACK) => feedback::nack(reader),
            (packet_type::TRANSPORT_FEEDBACK, format::TRANSPORT_CC) => {
                twcc::Feedback::parse(reader).map(Packet::TransportCc)
            }
            (packet_type::PAYLOAD_FEEDBACK, format::PLI) => feedback::pli(reader),
            (packet_type::PAYLOAD_FEEDBACK, format::FIR) => feedback::fir(reader),
            (packet_type::PAYLOAD_FEEDBACK, format::APPLICATION) => feedback::application(reader),
            (other, _) => Some(Packet::Other(other)),
        };
        packet.ok_or(RtcpError::Malformed(self.packet_type))
    }
}

#[cfg(test)]
mod tests;
