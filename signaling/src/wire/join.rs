//! What a client says about itself when it connects: the query of `/rtc` and `/rtc/v1`.
//!
//! Invariant: everything here is bounded by the query's length and by [`JOIN_REQUEST_LEN_MAX`].

use std::{collections::BTreeMap, io::Read};

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost::Message as _;
use sfu::params::Shortage;

use super::proto;
use crate::error::Refusal;

/// The longest join request after decompression.
pub const JOIN_REQUEST_LEN_MAX: usize = 1024 * 1024;

/// Base64 for URLs; clients differ about padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Which door the client came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `/rtc`: a query of words, or a join request.
    V0,
    /// `/rtc/v1`: a join request is a must.
    V1,
}

/// How many peer connections the client makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// One to publish, one to subscribe.
    #[default]
    Dual,
    /// One for all.
    Single,
}

/// What becomes of tracks that others publish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoSubscribe {
    /// They are subscribed to.
    #[default]
    On,
    /// They wait to be asked for.
    Off,
}

/// Whether the client adapts what it receives to what it shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdaptiveStream {
    /// It tells sizes soon: begin small.
    On,
    /// Begin with the best.
    #[default]
    Off,
}

/// A client that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Who it was.
    pub sid: String,
}

/// What a client says when it connects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JoinParameters {
    /// Its peer connections.
    pub topology: Topology,
    /// What it is.
    pub client: proto::ClientInfo,
    /// Tracks of others.
    pub auto_subscribe: AutoSubscribe,
    /// Data tracks of others.
    pub auto_subscribe_data: bool,
    /// What to begin with.
    pub adaptive_stream: AdaptiveStream,
    /// What becomes of pictures its path does not carry.
    pub shortage: Shortage,
    /// Metadata in place of the token's.
    pub metadata: String,
    /// Attributes over the token's.
    pub attributes: BTreeMap<String, String>,
    /// Tracks it is about to publish.
    pub add_tracks: Vec<proto::AddTrackRequest>,
    /// Its first offer.
    pub publisher_offer: Option<proto::SessionDescription>,
    /// Set when it comes back.
    pub resume: Option<Resume>,
    /// What it knows when it comes back.
    pub sync_state: Option<proto::SyncState>,
    /// Connect as the publishing twin of somebody.
    pub publish: Option<String>,
}

impl JoinParameters {
    /// Reads the query of a request, which the user agent complements.
    ///
    /// # Errors
    /// A status and a text for the client.
    pub fn read(door: Door, query: &str, user_agent: &str) -> Result<Self, Refusal> {
        let words: BTreeMap<String, String> =
            form_urlencoded::parse(query.as_bytes()).into_owned().take(QUERY_WORDS_MAX).collect();
        let word = |name: &str| words.get(name).map(String::as_str).unwrap_or_default();

        let mut parameters = match (word("join_request"), door) {
            ("", Door::V1) => return Err(Refusal::bad_request("join_request is required")),
            ("", Door::V0) => read_words(word),
            (request, _) => from_request(unwrap_request(request)?),
        };
        complete_client(&mut parameters.client, user_agent);
        Ok(parameters)
    }
}

/// How many words a query may have; SDKs use about twenty.
const QUERY_WORDS_MAX: usize = 64;

fn read_words<'a>(word: impl Fn(&str) -> &'a str) -> JoinParameters {
    let yes = |name: &str| matches!(word(name), "1" | "true");
    let resume = yes("reconnect").then(|| Resume { sid: word("sid").to_string() });
    let attributes = BASE64.decode(word("attributes")).unwrap_or_default();
    let capabilities = word("capabilities").split(',').filter_map(|name| {
        proto::client_info::Capability::from_str_name(name.trim()).map(|capability| capability as i32)
    });
    JoinParameters {
        topology: Topology::Dual,
        auto_subscribe: match word("auto_subscribe") {
            "" | "1" | "true" => AutoSubscribe::On,
            _ => AutoSubscribe::Off,
        },
        auto_subscribe_data: yes("auto_subscribe_data_track"),
        adaptive_stream: if yes("adaptive_stream") { AdaptiveStream::On } else { AdaptiveStream::Off },
        shortage: match word("subscriber_allow_pause") {
            "0" | "false" => Shortage::Keep,
            _ => Shortage::Pause,
        },
        attributes: serde_json::from_slice(&attributes).unwrap_or_default(),
        resume,
        publish: Some(word("publish").to_string()).filter(|suffix| !suffix.is_empty()),
        client: proto::ClientInfo {
            sdk: sdk(word("sdk")) as i32,
            version: word("version").to_string(),
            protocol: word("protocol").parse().unwrap_or_default(),
            client_protocol: word("client_protocol").parse().unwrap_or_default(),
            os: word("os").to_string(),
            os_version: word("os_version").to_string(),
            device_model: word("device_model").to_string(),
            browser: word("browser").to_string(),
            browser_version: word("browser_version").to_string(),
            network: word("network").to_string(),
            capabilities: capabilities.collect(),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn sdk(name: &str) -> proto::client_info::Sdk {
    use proto::client_info::Sdk;
    match name {
        "ios" => Sdk::Swift,
        "reactnative" => Sdk::ReactNative,
        "unityweb" => Sdk::UnityWeb,
        name => Sdk::from_str_name(&name.to_ascii_uppercase()).unwrap_or_default(),
    }
}

fn unwrap_request(text: &str) -> Result<proto::JoinRequest, Refusal> {
    use proto::wrapped_join_request::Compression;
    let wrapped =
        BASE64.decode(text).map_err(|_| Refusal::bad_request("cannot base64 decode wrapped join request"))?;
    let wrapped = proto::WrappedJoinRequest::decode(wrapped.as_slice())
        .map_err(|_| Refusal::bad_request("cannot unmarshal wrapped join request"))?;
    let request = match Compression::try_from(wrapped.compression) {
        Ok(Compression::None) => wrapped.join_request,
        Ok(Compression::Gzip) => decompress(&wrapped.join_request)?,
        Err(_) => return Err(Refusal::bad_request("cannot unmarshal wrapped join request")),
    };
    if request.len() > JOIN_REQUEST_LEN_MAX {
        return Err(Refusal::bad_request("join request too large"));
    }
    proto::JoinRequest::decode(request.as_slice())
        .map_err(|_| Refusal::bad_request("cannot unmarshal join request"))
}

fn decompress(gzip: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut request = Vec::new();
    // One byte more than allowed tells "exactly full" from "too long".
    let limit = u64::try_from(JOIN_REQUEST_LEN_MAX).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::GzDecoder::new(gzip)
        .take(limit)
        .read_to_end(&mut request)
        .map_err(|_| Refusal::bad_request("cannot read decompressed join request"))?;
    Ok(request)
}

fn from_request(request: proto::JoinRequest) -> JoinParameters {
    let settings = request.connection_settings.unwrap_or_default();
    JoinParameters {
        topology: Topology::Single,
        client: request.client_info.unwrap_or_default(),
        auto_subscribe: if settings.auto_subscribe { AutoSubscribe::On } else { AutoSubscribe::Off },
        auto_subscribe_data: settings.auto_subscribe_data_track.unwrap_or(false),
        adaptive_stream: if settings.adaptive_stream { AdaptiveStream::On } else { AdaptiveStream::Off },
        shortage: if settings.subscriber_allow_pause == Some(false) {
            Shortage::Keep
        } else {
            Shortage::Pause
        },
        metadata: request.metadata,
        attributes: request.participant_attributes.into_iter().collect(),
        add_tracks: request.add_track_requests,
        publisher_offer: request.publisher_offer,
        resume: request.reconnect.then_some(Resume { sid: request.participant_sid }),
        sync_state: request.sync_state,
        publish: None,
    }
}

/// Browsers do not say which they are: their user agent does.
fn complete_client(client: &mut proto::ClientInfo, user_agent: &str) {
    use proto::client_info::Sdk;
    let sdk = Sdk::try_from(client.sdk).unwrap_or_default();
    if !matches!(sdk, Sdk::Js | Sdk::ReactNative | Sdk::Flutter | Sdk::Unity | Sdk::Unknown) {
        return;
    }
    if client.browser.is_empty() {
        let (browser, version) = browser(user_agent);
        client.browser = browser.to_string();
        client.browser_version = version;
    }
    if client.os.is_empty() {
        client.os = operating_system(user_agent).to_string();
    }
}

/// The order matters: every browser names the ones it imitates.
fn browser(user_agent: &str) -> (&'static str, String) {
    const MARKS: [(&str, &str); 8] = [
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox iOS"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("HeadlessChrome/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome Mobile iOS"),
        ("Version/", "Safari"),
    ];
    for (mark, name) in MARKS {
        let Some((_, rest)) = user_agent.split_once(mark) else { continue };
        let version = rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.').next();
        return (name, version.unwrap_or_default().to_string());
    }
    ("", String::new())
}

fn operating_system(user_agent: &str) -> &'static str {
    const MARKS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Mac OS X", "Mac OS X"),
        ("Windows", "Windows"),
        ("CrOS", "Chrome OS"),
        ("Linux", "Linux"),
    ];
    MARKS.iter().find(|(mark, _)| user_agent.contains(mark)).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn words_of_the_python_sdk_are_read() {
        let query = "sdk=python&os=linux&protocol=18&client_protocol=2&auto_subscribe=1&adaptive_stream=0\
                     &version=1.2.0&capabilities=CAP_PACKET_TRAILER,CAP_COMPRESSION_DEFLATE_RAW";

        let parameters = JoinParameters::read(Door::V0, query, "").unwrap();

        assert_eq!(parameters.topology, Topology::Dual);
        assert_eq!(parameters.client.sdk, proto::client_info::Sdk::Python as i32);
        assert_eq!((parameters.client.protocol, parameters.client.client_protocol), (18, 2));
        assert_eq!(parameters.client.capabilities, vec![1, 2]);
        assert_eq!(parameters.auto_subscribe, AutoSubscribe::On);
        assert_eq!(parameters.resume, None);
    }

    #[test]
    fn absent_words_have_their_defaults() {
        let parameters = JoinParameters::read(Door::V0, "", "").unwrap();

        assert_eq!(parameters.auto_subscribe, AutoSubscribe::On);
        assert!(!parameters.auto_subscribe_data, "data tracks are asked for");
    }

    #[test]
    fn a_resume_names_who_comes_back() {
        let parameters = JoinParameters::read(Door::V0, "reconnect=1&sid=PA_x", "").unwrap();

        assert_eq!(parameters.resume, Some(Resume { sid: "PA_x".into() }));
    }

    #[test]
    fn attributes_are_base64_of_json() {
        let attributes = base64::engine::general_purpose::URL_SAFE.encode(r#"{"a":"b"}"#);

        let parameters = JoinParameters::read(Door::V0, &format!("attributes={attributes}"), "").unwrap();

        assert_eq!(parameters.attributes, BTreeMap::from([("a".to_string(), "b".to_string())]));
    }

    #[test]
    fn join_requests_come_plain_or_compressed_padded_or_not() {
        let request = proto::JoinRequest { metadata: "hello".into(), ..Default::default() };
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&request.encode_to_vec()).unwrap();
        for (compression, bytes) in [(0, request.encode_to_vec()), (1, gzip.finish().unwrap())] {
            let wrapped = proto::WrappedJoinRequest { compression, join_request: bytes }.encode_to_vec();
            let padded = base64::engine::general_purpose::URL_SAFE.encode(wrapped);
            for text in [padded.trim_end_matches('='), padded.as_str()] {
                for door in [Door::V0, Door::V1] {
                    let query = form_urlencoded::Serializer::new(String::new())
                        .append_pair("join_request", text)
                        .finish();
                    let parameters = JoinParameters::read(door, &query, "").unwrap();
                    assert_eq!(parameters.metadata, "hello");
                    assert_eq!(parameters.topology, Topology::Single);
                    assert_eq!(parameters.auto_subscribe, AutoSubscribe::Off, "v1 says so or means no");
                }
            }
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![0; JOIN_REQUEST_LEN_MAX + 1]).unwrap();
        let wrapped = proto::WrappedJoinRequest { compression: 1, join_request: gzip.finish().unwrap() };
        let text = base64::engine::general_purpose::URL_SAFE.encode(wrapped.encode_to_vec());

        let refusal = JoinParameters::read(Door::V1, &format!("join_request={text}"), "").unwrap_err();

        assert_eq!((refusal.status, refusal.text.as_str()), (400, "join request too large"));
    }

    #[test]
    fn v1_without_a_join_request_is_refused() {
        assert_eq!(JoinParameters::read(Door::V1, "", "").unwrap_err().status, 400);
        assert_eq!(JoinParameters::read(Door::V1, "join_request=%21", "").unwrap_err().status, 400);
        assert_eq!(JoinParameters::read(Door::V1, "join_request=_w", "").unwrap_err().status, 400);
    }

    #[test]
    fn a_browser_is_known_by_its_user_agent() {
        const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let parameters = JoinParameters::read(Door::V0, "sdk=js", FIREFOX).unwrap();

        assert_eq!(parameters.client.browser, "Firefox");
        assert_eq!(parameters.client.browser_version, "140.0");
        assert_eq!(parameters.client.os, "Linux");
    }
}
