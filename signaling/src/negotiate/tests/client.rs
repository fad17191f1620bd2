//! A client of a few lines: it offers, and answers what it is offered.

use sfu::params::MediaKind;

use crate::sdp::{Description, Direction, Kind, Section};

/// m-sections that a client has, in order.
pub(super) struct Client {
    pub(super) sections: Vec<Medium>,
    pub(super) ufrag: String,
    pub(super) video: String,
}

/// What a client does in an m-section.
#[derive(Clone)]
pub(super) struct Medium {
    pub(super) kind: MediaKind,
    pub(super) direction: &'static str,
    pub(super) cid: Option<String>,
    /// Lines of its own.
    pub(super) more: String,
}

pub(super) const VIDEO: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 102 103\r\na=rtpmap:96 VP8/90000\r\n\
    a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
    a=rtpmap:98 VP9/90000\r\na=fmtp:98 profile-id=0\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n\
    a=rtpmap:102 H264/90000\r\n\
    a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f;x-google-start-bitrate=500\r\n\
    a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n\
    a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n";
pub(super) const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtcp-fb:111 transport-cc\r\na=rtpmap:63 red/48000/2\r\n\
    a=fmtp:63 111/111\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
const TRANSPORT: &str = "a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=rtcp-mux\r\n\
    a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n";

impl Client {
    pub(super) fn new() -> Self {
        Self { sections: Vec::new(), ufrag: "theirs".to_owned(), video: VIDEO.to_owned() }
    }

    /// With this many m-sections to receive on.
    pub(super) fn receiving(audio: usize, video: usize) -> Self {
        let mut client = Self::new();
        (0..audio).for_each(|_| client.receive(MediaKind::Audio));
        (0..video).for_each(|_| client.receive(MediaKind::Video));
        client
    }

    pub(super) fn receive(&mut self, kind: MediaKind) {
        self.sections.push(Medium { kind, direction: "recvonly", cid: None, more: String::new() });
    }

    pub(super) fn send(&mut self, kind: MediaKind, cid: &str) {
        let cid = Some(cid.to_owned());
        self.sections.push(Medium { kind, direction: "sendonly", cid, more: String::new() });
    }

    pub(super) fn offer(&self) -> String {
        let mids: Vec<String> = (0..self.sections.len()).map(|mid| mid.to_string()).collect();
        let mut text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=extmap-allow-mixed\r\n",
            mids.join(" ")
        );
        for (mid, medium) in self.sections.iter().enumerate() {
            text += match medium.kind {
                MediaKind::Audio => AUDIO,
                MediaKind::Video => &self.video,
            };
            text += &format!("a=mid:{mid}\r\na=ice-ufrag:{}\r\na={}\r\n", self.ufrag, medium.direction);
            if let Some(cid) = &medium.cid {
                text += &format!("a=msid:- {cid}\r\n");
            }
            text += TRANSPORT;
            text += &medium.more;
        }
        text
    }

    /// What a browser would answer: everything, in the other direction, but for the media types it does not know.
    pub(super) fn answer(&self, offer: &str, unknown: &[&str]) -> String {
        let mut answer = Description::parse(offer).unwrap();
        answer.ice = crate::sdp::IceMode::Full;
        for section in &mut answer.sections {
            answer_section(section, unknown, &self.ufrag);
        }
        let used = answer.sections.iter().filter(|section| !section.is_rejected());
        answer.bundle = used.filter_map(|section| section.mid).collect();
        answer.to_string()
    }
}

fn answer_section(section: &mut Section, unknown: &[&str], ufrag: &str) {
    section.direction = section.direction.reversed();
    section.setup = Some(crate::sdp::Setup::Active);
    section.ice = Some(super::ice(ufrag));
    section.candidates.clear();
    section.candidates_end = false;
    section.ssrcs.clear();
    section.ssrc_groups.clear();
    section.msid = None;
    let lost: Vec<String> = section
        .formats
        .iter()
        .filter(|format| unknown.contains(&format.name.as_str()))
        .map(|format| format!("apt={}", format.payload_type))
        .collect();
    section.formats.retain(|format| !unknown.contains(&format.name.as_str()) && !lost.contains(&format.fmtp));
    if section.kind != Kind::Application && section.formats.is_empty() {
        section.port = 0;
        section.direction = Direction::Inactive;
    }
}
