//! A client's answer to a server's offer (RFC 8829 §5.3): everything is received, in the first codec of each m-section.

use std::fmt;

use sfu::params::Fingerprint;

use crate::client::Credentials;

/// An answer to be written.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) offer: &'a str,
    pub(crate) local: &'a Credentials,
    pub(crate) fingerprint: Fingerprint,
}

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections: Vec<&str> = self.offer.split("m=").skip(1).collect();
        f.write_str("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE")?;
        sections
            .iter()
            .try_for_each(|section| write!(f, " {}", value(section, "a=mid:").unwrap_or_default()))?;
        f.write_str("\r\n")?;
        sections.iter().try_for_each(|section| self.section(f, section))
    }
}

impl Reply<'_> {
    fn section(&self, f: &mut fmt::Formatter<'_>, section: &str) -> fmt::Result {
        let mut words = section.lines().next().unwrap_or_default().split_whitespace();
        let (kind, _, protocol) =
            (words.next().unwrap_or_default(), words.next(), words.next().unwrap_or_default());
        let number = words.next().unwrap_or_default();
        write!(f, "m={kind} 9 {protocol} {number}\r\nc=IN IP4 0.0.0.0\r\n")?;
        write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", self.local.ufrag, self.local.pwd)?;
        write!(f, "a=fingerprint:sha-256 {}\r\na=setup:active\r\n", self.fingerprint)?;
        write!(f, "a=mid:{}\r\n", value(section, "a=mid:").unwrap_or_default())?;
        let direction = if section.contains("a=inactive") { "inactive" } else { "recvonly" };
        write!(f, "a={direction}\r\na=rtcp-mux\r\n")?;
        for name in ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"] {
            let of_number = |line: &&str| {
                line.strip_prefix(name).is_some_and(|rest| rest.split(' ').next() == Some(number))
            };
            section.lines().filter(of_number).try_for_each(|line| write!(f, "{}\r\n", line.trim_end()))?;
        }
        Ok(())
    }
}

fn value<'a>(section: &'a str, name: &str) -> Option<&'a str> {
    section.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signaling::sdp::{Description, Direction};

    #[test]
    fn every_section_is_received() {
        let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:a\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:v\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n\
            a=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
        let local = Credentials { ufrag: "abcd".into(), pwd: "0123456789012345678901".into() };
        let reply = Reply { offer, local: &local, fingerprint: Fingerprint([7; 32]) };

        let read = Description::parse(&reply.to_string()).unwrap();

        assert_eq!(read.sections.len(), 2);
        assert!(read.sections.iter().all(|section| section.direction == Direction::RecvOnly));
        assert!(read.sections.iter().all(|section| section.formats.len() == 1));
    }
}
