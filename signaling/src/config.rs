//! What the operator decides about conversations. The defaults are LiveKit's.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{token::Keys, wire::proto};

/// Whether joining a room that does not exist makes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCreate {
    /// It does.
    #[default]
    On,
    /// Only for bearers of `roomCreate`.
    Off,
}

/// Whether an administrator may unmute a microphone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteUnmute {
    /// Refused.
    #[default]
    Refused,
    /// Done.
    Allowed,
}

/// Makes the ICE servers a participant is told: its identity, and the time their credentials begin.
pub type IceServers = Arc<dyn Fn(&str, SystemTime) -> Vec<proto::IceServer> + Send + Sync>;

/// What rooms and sessions are made with.
#[derive(Clone)]
pub struct Config {
    /// API keys and secrets; the first one signs refreshed tokens.
    pub keys: Keys,
    /// Rooms come to be by joining.
    pub auto_create: AutoCreate,
    /// How long a room that nobody ever joined lives.
    pub empty_timeout: Duration,
    /// How long a room lives after the last participant left.
    pub departure_timeout: Duration,
    /// Zero is no limit.
    pub max_participants: u32,
    /// MIME types of the codecs that may be published, best video first.
    pub enabled_codecs: Vec<String>,
    /// STUN and TURN servers.
    pub ice_servers: IceServers,
    /// Unmuting by an administrator.
    pub remote_unmute: RemoteUnmute,
    /// Which node this is.
    pub node_id: String,
    /// Where it stands.
    pub region: String,
    /// The LiveKit version whose features are offered: SDKs compare it.
    pub livekit_version: String,
    /// How long a participant may take from joining to connected media.
    pub join_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let codecs = ["video/VP8", "video/H264", "video/VP9", "video/AV1", "audio/opus", "audio/red"];
        Self {
            keys: Keys::new(),
            auto_create: AutoCreate::On,
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            max_participants: 0,
            enabled_codecs: codecs.map(String::from).to_vec(),
            ice_servers: Arc::new(|_, _| Vec::new()),
            remote_unmute: RemoteUnmute::Refused,
            node_id: "ND_sabha".into(),
            region: String::new(),
            livekit_version: "1.13.5".into(),
            join_timeout: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("node_id", &self.node_id)
            .field("auto_create", &self.auto_create)
            .finish_non_exhaustive()
    }
}
