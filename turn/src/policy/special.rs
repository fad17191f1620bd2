//! Addresses that are not a host on the Internet (RFC 6890 and the IANA registries of special-purpose addresses).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Not global: each refused from its first to its last address.
const SPECIAL_V4: [([u8; 4], u8); 17] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // between carriers and their customers
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, and what clouds tell their machines
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // AMT
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([192, 175, 48, 0], 24), // AS112
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
];

/// Within 2000::/3, the only global unicast there is, what is not, or carries an IPv4 address.
const SPECIAL_V6: [([u16; 8], u8); 6] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, Teredo, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    ([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), // the former 6bone
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Whether it may be a host on the Internet, by its own number and not by one it carries.
pub(super) fn is_global_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|(network, len)| begins_v4(ip, *network, *len)),
        IpAddr::V6(ip) => {
            begins_v6(ip, [0x2000, 0, 0, 0, 0, 0, 0, 0], 3)
                && !SPECIAL_V6.iter().any(|(network, len)| begins_v6(ip, *network, *len))
                && !is_isatap(ip)
        }
    }
}

/// RFC 5214 §6.1: an IPv4 address behind `0:5efe` or `200:5efe`.
fn is_isatap(ip: Ipv6Addr) -> bool {
    let [_, _, _, _, a, b, _, _] = ip.segments();
    b == 0x5efe && a & !0x0200 == 0
}

fn begins_v4(ip: Ipv4Addr, network: [u8; 4], len: u8) -> bool {
    let differs = ip.to_bits() ^ Ipv4Addr::from(network).to_bits();
    differs.leading_zeros() >= u32::from(len)
}

fn begins_v6(ip: Ipv6Addr, network: [u16; 8], len: u8) -> bool {
    let differs = ip.to_bits() ^ Ipv6Addr::from(network).to_bits();
    differs.leading_zeros() >= u32::from(len)
}
