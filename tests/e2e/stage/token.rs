//! Access tokens, good and bad, for the journeys that the SDKs' own minting does not cover.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

pub(crate) const API_KEY: &str = "devkey";
pub(crate) const API_SECRET: &str = "secret";
const LIFETIME: Duration = Duration::from_secs(3600);

/// A token under construction.
#[derive(Clone)]
pub(crate) struct Token {
    key: String,
    secret: String,
    claims: Value,
}

impl Token {
    /// Lets `identity` into `room`, with every right a caller has by default.
    pub(crate) fn join(room: &str, identity: &str) -> Self {
        let video = json!({ "roomJoin": true, "room": room, "canUpdateOwnMetadata": true });
        Self::with_video(identity, &video)
    }

    pub(crate) fn with_video(identity: &str, video: &Value) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = json!({
            "iss": API_KEY, "sub": identity, "name": identity, "video": video,
            "nbf": now.as_secs(), "exp": (now + LIFETIME).as_secs(),
        });
        Self { key: API_KEY.into(), secret: API_SECRET.into(), claims }
    }

    /// Sets one grant of the video part.
    pub(crate) fn grant(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims["video"][name] = value.into();
        self
    }

    /// Sets one claim; null removes it.
    pub(crate) fn claim(mut self, name: &str, value: Value) -> Self {
        match value {
            Value::Null => drop(self.claims.as_object_mut().and_then(|claims| claims.remove(name))),
            value => self.claims[name] = value,
        }
        self
    }

    /// Expired this long ago.
    pub(crate) fn expired(self, ago: Duration) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.claim("exp", json!((now - ago).as_secs())).claim("nbf", Value::Null)
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self.claim("iss", json!(key))
    }

    pub(crate) fn secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret);
        self
    }

    pub(crate) fn mint(&self) -> String {
        let header = jsonwebtoken::Header::default();
        let key = jsonwebtoken::EncodingKey::from_secret(self.secret.as_bytes());
        jsonwebtoken::encode(&header, &self.claims, &key).unwrap_or_default()
    }
}
