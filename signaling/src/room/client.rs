//! What a client is and what must be done differently for it.
//!
//! Invariant: every exception for an SDK, a browser or a protocol version is decided here.

use crate::{
    config::Config,
    negotiate::{Cids, Codecs, DataSection, Offered, Policy, Reuse},
    wire::proto::{self, client_info::Sdk},
};

/// The software of a participant.
#[derive(Clone, Debug)]
pub(super) struct Client {
    info: proto::ClientInfo,
}

/// What can be published, in the order LiveKit names it: VP8 first.
const PUBLISHABLE: [(&str, &str); 9] = [
    ("video/VP8", ""),
    ("video/H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    ("video/VP9", "profile-id=0"),
    ("video/AV1", ""),
    ("video/H265", ""),
    ("audio/opus", "minptime=10;useinbandfec=1"),
    ("audio/red", "111/111"),
    ("audio/PCMU", ""),
    ("audio/PCMA", ""),
];

impl Client {
    pub(super) fn new(info: proto::ClientInfo) -> Self {
        Self { info }
    }

    /// The protocol version it speaks.
    pub(super) fn protocol(&self) -> i32 {
        self.info.protocol
    }

    /// What other clients may send it.
    pub(super) fn client_protocol(&self) -> i32 {
        self.info.client_protocol
    }

    /// What it can do.
    pub(super) fn capabilities(&self) -> &[i32] {
        &self.info.capabilities
    }

    /// What its software calls itself, for logs.
    pub(super) fn name(&self) -> &'static str {
        self.sdk().as_str_name()
    }

    fn sdk(&self) -> Sdk {
        Sdk::try_from(self.info.sdk).unwrap_or_default()
    }

    /// Whether it reads messages that answer its requests.
    pub(super) fn reads_request_responses(&self) -> bool {
        self.sdk() != Sdk::Rust || self.protocol() >= 10
    }

    /// Whether a good outcome is worth a message.
    pub(super) fn reads_success(&self) -> bool {
        self.protocol() > 14
    }

    /// Whether it takes `track_unpublished`; older ones are muted.
    pub(super) fn reads_unpublished(&self) -> bool {
        self.protocol() > 6
    }

    /// Whether it takes more than one track of one stream, and its name may be a source.
    pub(super) fn syncs_streams(&self) -> bool {
        self.protocol() > 9 && !self.is_firefox()
    }

    /// Whether tracks that are there already come with the first offer.
    pub(super) fn starts_fast(&self) -> bool {
        self.protocol() > 7
    }

    /// Whether the second connection is the one to wait for.
    pub(super) fn takes_subscriber_primary(&self) -> bool {
        self.protocol() > 2
    }

    /// Whether it is told about participants who left while it was away.
    pub(super) fn takes_the_departed(&self) -> bool {
        self.protocol() > 8
    }

    /// Whether it reads a `reconnect` message.
    pub(super) fn reads_reconnect(&self) -> bool {
        self.sdk() != Sdk::Js || version_at_least(&self.info.version, [1, 6, 3])
    }

    /// Whether it must not be made to offer while the offer that follows its join is under way: SDKs whose Rust core is
    /// older than August 2026 may take the answer to the join for the answer to that offer, begin a second one, and then
    /// wait for ever on a lock that they hold.
    pub(super) fn confuses_answers(&self) -> bool {
        matches!(self.sdk(), Sdk::Rust | Sdk::Python | Sdk::Node | Sdk::Cpp | Sdk::Unity)
    }

    fn is_firefox(&self) -> bool {
        self.info.browser.to_ascii_lowercase().starts_with("firefox")
    }

    fn is_safari(&self) -> bool {
        self.info.browser.eq_ignore_ascii_case("safari")
    }

    fn os_is(&self, name: &str) -> bool {
        self.info.os.eq_ignore_ascii_case(name)
    }

    /// Codecs its encoder or decoder gets wrong.
    fn disabled(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let (mut both, mut publish) = (Vec::new(), Vec::new());
        if self.is_safari() {
            both.push("video/AV1");
            if version_at_least(&self.info.browser_version, [18, 3, 1]) {
                publish.push("video/VP9");
            }
        }
        let xiaomi = self.os_is("android") && self.info.device_model.contains("2201117TI");
        if xiaomi || (self.is_firefox() && (self.os_is("linux") || self.os_is("android"))) {
            publish.push("video/H264");
        }
        (both, publish)
    }

    /// How its descriptions are negotiated.
    pub(super) fn policy(&self, config: &Config, data: DataSection) -> Policy {
        let (both, publish) = self.disabled();
        let enabled = Codecs::new(config.enabled_codecs.iter().map(String::as_str));
        let subscribe = both.iter().fold(Codecs::default(), |codecs, mime| codecs.without(mime));
        let publishable = both.iter().chain(&publish).fold(enabled, |codecs, mime| codecs.without(mime));
        let only_wanted = self.is_firefox() && (self.os_is("linux") || self.os_is("android"));
        Policy {
            publish: publishable,
            subscribe,
            answered: if only_wanted { Offered::OnlyWanted } else { Offered::All },
            reuse: if self.is_safari() || self.protocol() <= 3 {
                Reuse::AnotherSection
            } else {
                Reuse::SameSection
            },
            cids: if self.is_firefox() { Cids::Rewritten } else { Cids::Kept },
            data,
        }
    }

    /// What it may publish, best first.
    pub(super) fn publishable(&self, config: &Config) -> Vec<proto::Codec> {
        let policy = self.policy(config, DataSection::Offered);
        let allowed = PUBLISHABLE.iter().filter(|(mime, _)| policy.publish.contains(mime));
        allowed.map(|(mime, fmtp)| codec(mime, fmtp)).collect()
    }

    /// What it should know about itself.
    pub(super) fn configuration(&self) -> Option<proto::ClientConfiguration> {
        let (both, publish) = self.disabled();
        if both.is_empty() && publish.is_empty() {
            return None;
        }
        let codecs = |mimes: Vec<&str>| mimes.into_iter().map(|mime| codec(mime, "")).collect();
        let disabled = proto::DisabledCodecs { codecs: codecs(both), publish: codecs(publish) };
        Some(proto::ClientConfiguration { disabled_codecs: Some(disabled), ..Default::default() })
    }
}

/// What can be published in any room of this operator.
pub(super) fn enabled_codecs(config: &Config) -> Vec<proto::Codec> {
    config.enabled_codecs.iter().map(|mime| codec(mime, "")).collect()
}

/// The media type of a codec as clients name it (`vp8`), when it is one we know.
pub(super) fn mime(codec: &str) -> Option<&'static str> {
    let name = codec.rsplit('/').next().unwrap_or_default();
    let known = |mime: &&str| mime.rsplit('/').next().is_some_and(|known| known.eq_ignore_ascii_case(name));
    PUBLISHABLE.iter().map(|(mime, _)| *mime).find(known)
}

fn codec(mime: &str, fmtp: &str) -> proto::Codec {
    proto::Codec { mime: mime.to_string(), fmtp_line: fmtp.to_string() }
}

fn version_at_least(version: &str, least: [u32; 3]) -> bool {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse::<u32>().unwrap_or_default());
    let version = [(); 3].map(|()| parts.next().unwrap_or_default());
    version >= least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_part_by_part() {
        assert!(version_at_least("1.10.0", [1, 6, 3]));
        assert!(version_at_least("1.6.3", [1, 6, 3]));
        assert!(!version_at_least("1.6.2-beta", [1, 6, 3]));
        assert!(!version_at_least("", [1, 6, 3]));
    }

    #[test]
    fn safari_is_not_sent_av1_and_publishes_none() {
        let safari = client("Safari", "17.4", "Mac OS X");
        let policy = safari.policy(&Config::default(), DataSection::Offered);

        assert!(!policy.subscribe.contains("video/AV1") && !policy.publish.contains("video/AV1"));
        assert!(policy.publish.contains("video/VP9"));
        assert_eq!(policy.reuse, Reuse::AnotherSection);
        assert_eq!(safari.configuration().unwrap().disabled_codecs.unwrap().codecs.len(), 1);
    }

    #[test]
    fn firefox_on_linux_publishes_no_h264_and_rewrites_ids() {
        let policy = client("Firefox", "140.0", "Linux").policy(&Config::default(), DataSection::Offered);

        assert!(!policy.publish.contains("video/H264") && policy.subscribe.contains("video/H264"));
        assert_eq!((policy.cids, policy.answered), (Cids::Rewritten, Offered::OnlyWanted));
    }

    #[test]
    fn vp8_is_the_first_choice_and_rtx_is_not_named() {
        let codecs = client("Chrome", "140", "Linux").publishable(&Config::default());

        assert_eq!(codecs.first().unwrap().mime, "video/VP8");
        assert!(codecs.iter().all(|codec| !codec.mime.contains("rtx")));
    }

    #[test]
    fn codecs_are_known_by_their_short_names() {
        assert_eq!(mime("vp8"), Some("video/VP8"));
        assert_eq!(mime("video/h264"), Some("video/H264"));
        assert_eq!(mime("theora"), None);
    }

    fn client(browser: &str, version: &str, os: &str) -> Client {
        Client::new(proto::ClientInfo {
            sdk: Sdk::Js as i32,
            version: "2.23.0".into(),
            protocol: 17,
            browser: browser.into(),
            browser_version: version.into(),
            os: os.into(),
            ..Default::default()
        })
    }
}
