//! What a client needs of a server's description: where it is, and how it proves who it is.

use std::net::{IpAddr, SocketAddr};

use crate::client::Credentials;

/// Why a description is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SdpError {
    #[error("no ICE credentials in the server's description")]
    NoCredentials,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) credentials: Credentials,
    pub(crate) candidates: Vec<SocketAddr>,
}

impl Remote {
    /// The first credentials of a description and its UDP candidates, those of the family of `like`; more may trickle.
    pub(crate) fn parse(sdp: &str, like: IpAddr) -> Result<Self, SdpError> {
        let first = |name: &str| {
            sdp.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
        };
        let (Some(ufrag), Some(pwd)) = (first("a=ice-ufrag:"), first("a=ice-pwd:")) else {
            return Err(SdpError::NoCredentials);
        };
        let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
        let mut candidates: Vec<SocketAddr> = lines.filter_map(candidate).collect();
        candidates.retain(|addr| addr.is_ipv4() == like.is_ipv4());
        candidates.sort_unstable();
        candidates.dedup();
        Ok(Self { credentials: Credentials { ufrag, pwd }, candidates })
    }
}

/// RFC 8839 §5.1: foundation, component, transport, priority, address, port, `typ`, type.
pub(crate) fn candidate(text: &str) -> Option<SocketAddr> {
    let text = text.strip_prefix("candidate:").unwrap_or(text);
    let mut words = text.split_whitespace().skip(1);
    let (component, transport, _, ip, port) =
        (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
    let udp = component == "1" && transport.eq_ignore_ascii_case("udp");
    udp.then_some(())?;
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_candidates_are_found() {
        let sdp = "v=0\r\na=ice-ufrag:ab\r\na=ice-pwd:cd\r\na=candidate:1 1 udp 1 192.0.2.1 7882 typ host\r\n\
            a=candidate:2 1 tcp 1 192.0.2.1 7881 typ host tcptype passive\r\n\
            a=candidate:1 1 udp 1 192.0.2.1 7882 typ host\r\na=candidate:3 1 UDP 1 2001:db8::1 7882 typ host\r\n";

        let remote = Remote::parse(sdp, IpAddr::from([0, 0, 0, 0])).unwrap();

        assert_eq!(remote.credentials.ufrag, "ab");
        assert_eq!(remote.candidates, [SocketAddr::from(([192, 0, 2, 1], 7_882))]);
        assert!(Remote::parse("v=0", IpAddr::from([0, 0, 0, 0])).is_err());
    }
}
