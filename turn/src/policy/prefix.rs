//! Ranges of addresses as prefixes (RFC 4632 §3.1).

use std::{fmt, net::IpAddr, str::FromStr};

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    ip: IpAddr,
    len: u8,
}

/// Why a text is not a prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Not `address` or `address/length`.
    #[error("{0:?} is no prefix: write it as 10.0.0.0/8 or 2001:db8::/32")]
    Form(String),
    /// Bits are set behind the prefix: it is not clear what was meant.
    #[error("{0:?} has bits behind its length")]
    HostBits(String),
}

impl Prefix {
    /// `None` when the length is longer than the address, or bits are set behind it.
    #[must_use]
    pub fn new(ip: IpAddr, len: u8) -> Option<Self> {
        let prefix = Self { ip, len };
        let fits = match ip {
            IpAddr::V4(ip) => len <= 32 && ip.to_bits() & !mask_v4(len) == 0,
            IpAddr::V6(ip) => len <= 128 && ip.to_bits() & !mask_v6(len) == 0,
        };
        fits.then_some(prefix)
    }

    /// Whether an address begins so. An IPv4 address is never in an IPv6 prefix, nor the other way round.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => (own.to_bits() ^ ip.to_bits()) & mask_v4(self.len) == 0,
            (IpAddr::V6(own), IpAddr::V6(ip)) => (own.to_bits() ^ ip.to_bits()) & mask_v6(self.len) == 0,
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let form = || PrefixError::Form(text.into());
        let (ip, len) = match text.trim().split_once('/') {
            Some((ip, len)) => (ip, Some(len)),
            None => (text.trim(), None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| form())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let len = match len {
            Some(len) => len.parse().ok().filter(|len| *len <= most).ok_or_else(form)?,
            None => most,
        };
        Self::new(ip, len).ok_or_else(|| PrefixError::HostBits(text.into()))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

fn mask_v4(len: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(len))).unwrap_or(0)
}

fn mask_v6(len: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(len))).unwrap_or(0)
}
