//! Who speaks with us over what: the 5-tuple that names an allocation (RFC 8656 §3.2).

use std::net::SocketAddr;

/// How a client reaches us (RFC 8656 §3.1). Peers are always reached by UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Udp, Self::Tcp, Self::Tls];

    /// As it stands in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Whether the far end cannot lie about its address, and messages are cut out of a stream.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }
}

/// Client, server and what is between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// Over what.
    pub transport: Transport,
    /// The client as we see it.
    pub client: SocketAddr,
    /// Which of our addresses it speaks to.
    pub server: SocketAddr,
}

/// IPv4 or IPv6, as TURN counts them (RFC 8656 §18.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// 0x01.
    V4,
    /// 0x02.
    V6,
}

impl Family {
    /// Of an address.
    #[must_use]
    pub const fn of(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }

    /// The inverse of [`Self::value`].
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::V4),
            2 => Some(Self::V6),
            _ => None,
        }
    }

    /// As it stands in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}
