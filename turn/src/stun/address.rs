//! XOR-MAPPED-ADDRESS (RFC 8489 §14.2): the cookie hides addresses from NATs that rewrite what looks like one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAGIC_COOKIE, TransactionId};

const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;
/// Reserved byte, family, port and an IPv6 address.
pub(super) const ADDRESS_MAX: usize = 20;

/// Writes the value of the attribute and tells its length.
pub(super) fn write_xor(addr: SocketAddr, id: TransactionId) -> ([u8; ADDRESS_MAX], usize) {
    let mut value = [0; ADDRESS_MAX];
    let port = addr.port() ^ port_mask();
    let len = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let ip = (ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes();
            fill(&mut value, FAMILY_V4, port, &ip)
        }
        IpAddr::V6(ip) => {
            let ip = (ip.to_bits() ^ ip_mask(id)).to_be_bytes();
            fill(&mut value, FAMILY_V6, port, &ip)
        }
    };
    (value, len)
}

/// Writes the value of an attribute that hides nothing (RFC 8489 §14.1) and tells its length.
pub(super) fn write_plain(addr: SocketAddr) -> ([u8; ADDRESS_MAX], usize) {
    let mut value = [0; ADDRESS_MAX];
    let len = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => fill(&mut value, FAMILY_V4, addr.port(), &ip.octets()),
        IpAddr::V6(ip) => fill(&mut value, FAMILY_V6, addr.port(), &ip.octets()),
    };
    (value, len)
}

/// Reads the value of the attribute.
pub(super) fn read_xor(value: &[u8], id: TransactionId) -> Option<SocketAddr> {
    let (&[_, family, port_high, port_low], ip) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([port_high, port_low]) ^ port_mask();
    let ip = match family {
        FAMILY_V4 => {
            let bits = u32::from_be_bytes(ip.try_into().ok()?);
            IpAddr::V4(Ipv4Addr::from_bits(bits ^ MAGIC_COOKIE))
        }
        FAMILY_V6 => {
            let bits = u128::from_be_bytes(ip.try_into().ok()?);
            IpAddr::V6(Ipv6Addr::from_bits(bits ^ ip_mask(id)))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn fill(value: &mut [u8; ADDRESS_MAX], family: u8, port: u16, ip: &[u8]) -> usize {
    let [port_high, port_low] = port.to_be_bytes();
    let head = [0, family, port_high, port_low];
    let mut len = 0;
    for (slot, byte) in value.iter_mut().zip(head.iter().chain(ip)) {
        *slot = *byte;
        len += 1;
    }
    len
}

const fn port_mask() -> u16 {
    let [high, low, ..] = MAGIC_COOKIE.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The cookie followed by the transaction id.
fn ip_mask(id: TransactionId) -> u128 {
    let low = id.0.iter().fold(0_u128, |mask, byte| mask << 8 | u128::from(*byte));
    u128::from(MAGIC_COOKIE) << 96 | low
}
