//! TRN-01 and TRN-02: every way to write an address that must not be reached.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// What no stranger may reach through us.
const DENIED: [&str; 27] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fe80::/10",
    "fec0::/10",
    "fc00::/7",
    "ff00::/8",
    "2001:db8::/32",
    "2001::/32",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "::ffff:0:0/96",
];

#[test]
fn an_open_relay_reaches_nothing_that_is_not_global_in_any_encoding() {
    let policy = PeerPolicy { reach: Reach::Open, ..PeerPolicy::default() };
    for network in DENIED {
        let prefix: Prefix = network.parse().unwrap();
        for ip in first_middle_last(prefix) {
            for form in encodings(ip) {
                assert!(!policy.permits(form), "{form} as {ip} of {network}");
                assert!(!policy.reaches(SocketAddr::new(form, 5_000)), "{form} as {ip} of {network}");
            }
        }
    }
    for metadata in ["169.254.169.254", "fd00:ec2::254"] {
        assert!(!policy.permits(metadata.parse().unwrap()));
    }
    for public in ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1", "2a00:1450::1"] {
        let ip = public.parse().unwrap();
        assert!(policy.permits(ip) && policy.reaches(SocketAddr::new(ip, 3_478)), "{public}");
    }
}

#[test]
fn even_a_global_address_is_not_reached_inside_another() {
    let policy = PeerPolicy { reach: Reach::Open, ..PeerPolicy::default() };
    for form in encodings("8.8.8.8".parse().unwrap()).into_iter().skip(1) {
        assert!(!policy.permits(form), "{form}");
    }
}

#[test]
fn by_default_only_neighbours_are_reached_and_only_at_their_ports() {
    let neighbour = Neighbour { ip: "203.0.113.7".parse().unwrap(), first: 7_882, last: 7_885 };
    let policy = PeerPolicy { neighbours: vec![neighbour], own: vec![neighbour.ip], ..PeerPolicy::default() };

    assert!(policy.permits(neighbour.ip));
    for (port, reached) in
        [(7_881, false), (7_882, true), (7_885, true), (7_886, false), (0, false), (22, false)]
    {
        assert_eq!(policy.reaches(SocketAddr::new(neighbour.ip, port)), reached, "port {port}");
    }
    for stranger in ["8.8.8.8", "203.0.113.8", "::ffff:203.0.113.7", "127.0.0.1"] {
        let ip = stranger.parse().unwrap();
        assert!(!policy.permits(ip) && !policy.reaches(SocketAddr::new(ip, 7_882)), "{stranger}");
    }
}

#[test]
fn exceptions_hold_for_their_prefix_and_no_more_and_never_for_ourselves() {
    let policy = PeerPolicy {
        reach: Reach::Open,
        allow: vec!["10.1.0.0/16".parse().unwrap()],
        deny: vec!["8.8.8.0/24".parse().unwrap()],
        own: vec!["10.1.0.1".parse().unwrap(), "1.2.3.4".parse().unwrap()],
        ..PeerPolicy::default()
    };
    for (ip, reached) in [
        ("10.1.2.3", true),
        ("10.2.0.1", false),
        ("10.1.0.1", false),
        ("8.8.8.8", false),
        ("8.8.9.8", true),
        ("1.2.3.4", false),
        ("::ffff:10.1.2.3", false),
    ] {
        assert_eq!(policy.permits(ip.parse().unwrap()), reached, "{ip}");
    }
}

#[test]
fn services_of_strangers_are_not_reached() {
    let policy = PeerPolicy { reach: Reach::Open, ..PeerPolicy::default() };
    for (port, reached) in [(0, false), (25, false), (53, false), (443, true), (1_023, false), (1_024, true)]
    {
        assert_eq!(policy.reaches(SocketAddr::from(([8, 8, 8, 8], port))), reached, "port {port}");
    }
}

#[test]
fn prefixes_agree_with_plain_arithmetic() {
    let mut state = 1_u128;
    for _ in 0..20_000 {
        state =
            state.wrapping_mul(0xda94_2042_e4dd_58b5).wrapping_add(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let len = u8::try_from(state >> 121).unwrap();
        let (first, near) = (state << 3, state.rotate_left(64));
        let first = if len == 0 { 0 } else { first & (u128::MAX << (128 - u32::from(len))) };
        let last =
            if len == 0 { u128::MAX } else { first | u128::MAX.checked_shr(u32::from(len)).unwrap_or(0) };
        let prefix = Prefix::new(Ipv6Addr::from_bits(first).into(), len).unwrap();
        for probe in [first, last, first.wrapping_sub(1), last.wrapping_add(1), near] {
            let within = (first..=last).contains(&probe);
            assert_eq!(prefix.contains(Ipv6Addr::from_bits(probe).into()), within, "{prefix} {probe:#x}");
        }
    }
}

#[test]
fn a_malformed_prefix_is_refused() {
    for text in
        ["", "10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "example.org"]
    {
        assert!(text.parse::<Prefix>().is_err(), "{text}");
    }
    assert_eq!("10.0.0.1".parse::<Prefix>().unwrap().to_string(), "10.0.0.1/32");
    assert_eq!(" ::/0 ".parse::<Prefix>().unwrap().to_string(), "::/0");
}

fn first_middle_last(prefix: Prefix) -> [IpAddr; 3] {
    let text = prefix.to_string();
    let (ip, len) = text.split_once('/').unwrap();
    let len: u32 = len.parse().unwrap();
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => {
            let host = u32::MAX.checked_shr(len).unwrap_or(0);
            [0, host / 2, host].map(|host| Ipv4Addr::from_bits(ip.to_bits() | host).into())
        }
        IpAddr::V6(ip) => {
            let host = u128::MAX.checked_shr(len).unwrap_or(0);
            [0, host / 2, host].map(|host| Ipv6Addr::from_bits(ip.to_bits() | host).into())
        }
    }
}

/// Native first, then every IPv6 form that carries it.
fn encodings(ip: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V4(v4) = ip else { return vec![ip] };
    let bits = u128::from(v4.to_bits());
    let forms = [
        0xffff_0000_0000 | bits,
        bits,
        0x2002 << 112 | bits << 80,
        0x64_ff9b << 96 | bits,
        0x64_ff9b_0001 << 80 | bits,
        0x2001_0000 << 96 | (!bits & 0xffff_ffff),
        0x2a00_1450 << 96 | 0x5efe_0000_0000 | bits,
        0x2a00_1450 << 96 | 0x0200_5efe_0000_0000 | bits,
    ];
    let forms = forms.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
    [ip].into_iter().chain(forms).collect()
}
