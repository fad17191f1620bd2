//! What a worker counts: totals since its start, and why datagrams were dropped.
//!
//! Invariant: every datagram handed to a worker is either used or counted under exactly one [`DropReason`].

/// Why a datagram, or the packet in it, went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// Empty, or its first byte belongs to no protocol we speak (RFC 7983 §7).
    Unclassified,
    /// From an address that no authenticated check has vouched for.
    UnknownRemote,
    /// A STUN message that could not be read, or is not a request.
    StunMalformed,
    /// A check for a user fragment that no transport has.
    StunUnknownUfrag,
    /// A check with the wrong password, or one the transport refuses.
    StunRefused,
    /// More datagrams per second than one client may send.
    Flood,
    /// Media before its keys.
    NotConnected,
    /// An RTP header that could not be read.
    RtpMalformed,
    /// An RTP packet that failed authentication.
    RtpForged,
    /// An RTP packet that was seen before, or too old to tell.
    RtpReplayed,
    /// An SSRC that belongs to no track of the transport.
    RtpUnknownStream,
    /// A payload type that was not negotiated.
    RtpUnknownFormat,
    /// More SSRCs than one client may use.
    RtpTooManyStreams,
    /// Larger than any packet we forward.
    RtpOversize,
    /// Nothing but padding: it only probes the path.
    RtpPadding,
    /// A retransmission of what had arrived already.
    RtpDuplicate,
    /// Too late to be of use.
    RtpStale,
    /// An RTCP packet that failed authentication or was replayed.
    RtcpForged,
    /// An RTCP packet that could not be read to its end.
    RtcpMalformed,
    /// A panic was caught while it was handled.
    Panicked,
}

impl DropReason {
    /// How many there are.
    pub const COUNT: usize = 20;

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Unclassified,
        Self::UnknownRemote,
        Self::StunMalformed,
        Self::StunUnknownUfrag,
        Self::StunRefused,
        Self::Flood,
        Self::NotConnected,
        Self::RtpMalformed,
        Self::RtpForged,
        Self::RtpReplayed,
        Self::RtpUnknownStream,
        Self::RtpUnknownFormat,
        Self::RtpTooManyStreams,
        Self::RtpOversize,
        Self::RtpPadding,
        Self::RtpDuplicate,
        Self::RtpStale,
        Self::RtcpForged,
        Self::RtcpMalformed,
        Self::Panicked,
    ];

    /// Its name as a metric label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unclassified => "unclassified",
            Self::UnknownRemote => "unknown_remote",
            Self::StunMalformed => "stun_malformed",
            Self::StunUnknownUfrag => "stun_unknown_ufrag",
            Self::StunRefused => "stun_refused",
            Self::Flood => "flood",
            Self::NotConnected => "not_connected",
            Self::RtpMalformed => "rtp_malformed",
            Self::RtpForged => "rtp_forged",
            Self::RtpReplayed => "rtp_replayed",
            Self::RtpUnknownStream => "rtp_unknown_stream",
            Self::RtpUnknownFormat => "rtp_unknown_format",
            Self::RtpTooManyStreams => "rtp_too_many_streams",
            Self::RtpOversize => "rtp_oversize",
            Self::RtpPadding => "rtp_padding",
            Self::RtpDuplicate => "rtp_duplicate",
            Self::RtpStale => "rtp_stale",
            Self::RtcpForged => "rtcp_forged",
            Self::RtcpMalformed => "rtcp_malformed",
            Self::Panicked => "panicked",
        }
    }
}

/// How often each reason struck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::COUNT]);

impl Drops {
    /// One more.
    pub(crate) fn count(&mut self, reason: DropReason) {
        if let Some(total) = self.0.get_mut(reason as usize) {
            *total += 1;
        }
    }

    /// How often this one struck.
    #[must_use]
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Every reason with its total.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.of(reason)))
    }

    /// All reasons together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Totals of one worker since its start; the first four are what it holds at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rooms held.
    pub rooms: u64,
    /// Transports held.
    pub transports: u64,
    /// Tracks held.
    pub tracks: u64,
    /// Subscriptions held.
    pub subscriptions: u64,
    /// Datagrams that arrived.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams written to the egress.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// RTP packets that arrived and were authentic.
    pub packets_in: u64,
    /// RTP packets forwarded for the first time.
    pub packets_forwarded: u64,
    /// RTP packets sent once more because a subscriber asked.
    pub packets_retransmitted: u64,
    /// Packets of nothing but padding, sent to find out what a path carries.
    pub packets_padding: u64,
    /// Packets that could not be sealed: their number was used up, or their key.
    pub unsealed: u64,
    /// Packets that a publisher's retransmission brought back.
    pub packets_recovered: u64,
    /// Packets that subscribers reported missing.
    pub nacks_in: u64,
    /// Packets that publishers were asked to send again.
    pub nacks_out: u64,
    /// Key frames that subscribers asked for.
    pub keyframe_requests_in: u64,
    /// Key frames that publishers were asked for.
    pub keyframe_requests_out: u64,
    /// Data messages that a transport could not take.
    pub messages_refused: u64,
    /// Transports whose DTLS handshake was completed.
    pub connected: u64,
    /// Transports that failed.
    pub failed: u64,
    /// Rooms lost to a panic.
    pub rooms_lost: u64,
    /// What was dropped, and why.
    pub dropped: Drops,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_number() {
        for (index, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
