//! Access tokens: who the bearer is and what they may do (JWT, RFC 7519, HS256).
//!
//! Invariants: only HS256 is read; a token without an expiry, or with times that are not numbers, is refused;
//! the caller's `now` decides about time, never a clock.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sfu::params::Secret;

use crate::wire::proto;

/// Clocks differ: a token counts as valid this long before and after.
const LEEWAY: Duration = Duration::from_secs(60);
/// Metadata of 512 KiB and attributes of 64 KiB fit, in base64.
const TOKEN_LEN_MAX: usize = 1024 * 1024;

/// API keys and their secrets.
pub type Keys = BTreeMap<String, Secret<String>>;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64, not JSON, not HS256, or a claim of the wrong type.
    #[error("invalid authorization token")]
    Malformed,
    /// Its issuer is none of our keys.
    #[error("invalid API key")]
    UnknownKey,
    /// Not signed with the secret of its key.
    #[error("invalid authorization token: signature is invalid")]
    Signature,
    /// Its time is over.
    #[error("invalid authorization token: token is expired")]
    Expired,
    /// Its time is not come.
    #[error("invalid authorization token: token is not valid yet")]
    NotYet,
}

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Claims {
    /// The API key.
    #[serde(rename = "iss")]
    pub key: String,
    /// Who the bearer is in the room.
    #[serde(rename = "sub", skip_serializing_if = "String::is_empty")]
    pub identity: String,
    /// Where old tokens carry the identity.
    #[serde(rename = "jti", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Valid from, in seconds since 1970.
    #[serde(rename = "nbf", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<NumericDate>,
    /// Valid until, in seconds since 1970.
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub expires: Option<NumericDate>,
    /// Shown to others.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `standard`, `ingress`, `egress`, `sip`, `agent`, `connector`, `bridge`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Finer words about the kind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kind_details: Vec<String>,
    /// The participant's metadata.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub metadata: String,
    /// The participant's attributes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Digest of a body that the token vouches for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// How the room is made when this bearer is its first participant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_config: Option<proto::RoomConfiguration>,
    /// Named configuration of the room.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub room_preset: String,
    /// What the bearer may do with rooms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoGrant>,
}

/// What a bearer may do with rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the form of the claim is LiveKit's")]
pub struct VideoGrant {
    /// Make and delete rooms; join one that does not exist.
    #[serde(skip_serializing_if = "is_false")]
    pub room_create: bool,
    /// List rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub room_list: bool,
    /// Record rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub room_record: bool,
    /// Do everything in [`Self::room`].
    #[serde(skip_serializing_if = "is_false")]
    pub room_admin: bool,
    /// Join [`Self::room`].
    #[serde(skip_serializing_if = "is_false")]
    pub room_join: bool,
    /// The one room this is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub room: String,
    /// Publish tracks; yes when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// Receive tracks; yes when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// Send data; as [`Self::can_publish`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// When not empty, only these sources: `camera`, `microphone`, `screen_share`, `screen_share_audio`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<String>,
    /// Change one's own name, metadata, attributes; no when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// Manage ingress.
    #[serde(skip_serializing_if = "is_false")]
    pub ingress_admin: bool,
    /// Nobody sees the bearer.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// The bearer records.
    #[serde(skip_serializing_if = "is_false")]
    pub recorder: bool,
    /// The bearer is an agent.
    #[serde(skip_serializing_if = "is_false")]
    pub agent: bool,
    /// Receive metrics; no when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// Manage agent sessions; no when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
    /// Where a participant may be moved or forwarded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub destination_room: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Seconds since 1970 (RFC 7519 §2: a JSON number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NumericDate(pub u64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        if let Some(seconds) = number.as_u64() {
            return Ok(Self(seconds));
        }
        let seconds = number.as_f64().filter(|seconds| (0.0..9.0e15).contains(seconds));
        let seconds = seconds.ok_or_else(|| serde::de::Error::custom("no date"))?;
        Duration::try_from_secs_f64(seconds)
            .map(|date| Self(date.as_secs()))
            .map_err(serde::de::Error::custom)
    }
}

impl NumericDate {
    /// The second a moment lies in.
    #[must_use]
    pub fn of(moment: SystemTime) -> Self {
        Self(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

impl Claims {
    /// Reads a token, checks who signed it and whether it is valid.
    ///
    /// # Errors
    /// Says why it is not taken.
    pub fn verify(token: &str, keys: &Keys, now: SystemTime) -> Result<Self, TokenError> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(TokenError::Malformed);
        }
        let key = issuer(token)?;
        let secret = keys.get(&key).ok_or(TokenError::UnknownKey)?;
        // Times are checked below, by the caller's clock and without mistaking a wrong type for absence.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let key = DecodingKey::from_secret(secret.0.as_bytes());
        let mut claims = jsonwebtoken::decode::<Self>(token, &key, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            if *error.kind() == ErrorKind::InvalidSignature {
                TokenError::Signature
            } else {
                TokenError::Malformed
            }
        })?;
        claims.claims.check_times(now)?;
        claims.claims.adopt_id();
        Ok(claims.claims)
    }

    fn check_times(&self, now: SystemTime) -> Result<(), TokenError> {
        let (now, leeway) = (NumericDate::of(now).0, LEEWAY.as_secs());
        let expires = self.expires.ok_or(TokenError::Malformed)?.0;
        if expires.saturating_add(leeway) <= now {
            return Err(TokenError::Expired);
        }
        if self.not_before.is_some_and(|from| from.0 > now.saturating_add(leeway)) {
            return Err(TokenError::NotYet);
        }
        Ok(())
    }

    fn adopt_id(&mut self) {
        if self.identity.is_empty() {
            self.identity = self.id.clone().unwrap_or_default();
        }
    }

    /// Writes and signs a token.
    ///
    /// # Errors
    /// Only when the claims cannot be written as JSON.
    pub fn sign(&self, secret: &Secret<String>) -> Result<String, TokenError> {
        let key = EncodingKey::from_secret(secret.0.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), self, &key).map_err(|_| TokenError::Malformed)
    }

    /// The kind of participant the bearer is.
    #[must_use]
    pub fn participant_kind(&self) -> proto::participant_info::Kind {
        proto::participant_info::Kind::from_str_name(&self.kind.to_ascii_uppercase()).unwrap_or_default()
    }
}

/// The claimed key, before anything is proved.
fn issuer(token: &str) -> Result<String, TokenError> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let issuer: Issuer =
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| TokenError::Malformed)?;
    Ok(issuer.iss)
}

impl VideoGrant {
    /// What the bearer may do in the room, as participants see it.
    #[must_use]
    #[expect(deprecated, reason = "old clients read the roles here")]
    pub fn permission(&self) -> proto::ParticipantPermission {
        let can_publish = self.can_publish.unwrap_or(true);
        proto::ParticipantPermission {
            can_subscribe: self.can_subscribe.unwrap_or(true),
            can_publish,
            can_publish_data: self.can_publish_data.unwrap_or(can_publish),
            can_publish_sources: self
                .can_publish_sources
                .iter()
                .filter_map(|source| source_of(source))
                .collect(),
            hidden: self.hidden,
            can_update_metadata: self.can_update_own_metadata.unwrap_or(false),
            can_subscribe_metrics: self.can_subscribe_metrics.unwrap_or(false),
            can_manage_agent_session: self.can_manage_agent_session.unwrap_or(false),
            recorder: self.recorder,
            agent: self.agent,
        }
    }

    /// Takes over what an administrator gave.
    pub fn apply(&mut self, permission: &proto::ParticipantPermission) {
        self.can_publish = Some(permission.can_publish);
        self.can_subscribe = Some(permission.can_subscribe);
        self.can_publish_data = Some(permission.can_publish_data);
        self.can_publish_sources =
            permission.can_publish_sources.iter().filter_map(|source| source_name(*source)).collect();
        self.can_update_own_metadata = Some(permission.can_update_metadata);
        self.can_subscribe_metrics = Some(permission.can_subscribe_metrics);
        self.can_manage_agent_session = Some(permission.can_manage_agent_session);
        self.hidden = permission.hidden;
    }
}

/// The sources a grant can name; any other word grants nothing.
fn source_of(name: &str) -> Option<i32> {
    proto::TrackSource::from_str_name(&name.to_ascii_uppercase()).map(|source| source as i32)
}

fn source_name(source: i32) -> Option<String> {
    proto::TrackSource::try_from(source).ok().map(|source| source.as_str_name().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_signed_token_is_read_back() {
        let claims = Claims {
            key: "devkey".into(),
            identity: "ann".into(),
            expires: Some(NumericDate(NOW + 10)),
            video: Some(VideoGrant { room_join: true, room: "r".into(), ..Default::default() }),
            ..Default::default()
        };

        let token = claims.sign(&secret()).unwrap();

        assert_eq!(Claims::verify(&token, &keys(), now()), Ok(claims));
    }

    #[test]
    fn an_expiry_is_required_and_a_minute_of_leeway_is_given() {
        assert_eq!(verify(json!({})), Err(TokenError::Malformed));
        assert_eq!(verify(json!({"exp": NOW - 61})), Err(TokenError::Expired));
        assert!(verify(json!({"exp": NOW - 59})).is_ok());
        assert!(verify(json!({"exp": NOW + 10, "nbf": NOW + 59})).is_ok());
        assert_eq!(verify(json!({"exp": NOW + 1000, "nbf": NOW + 61})), Err(TokenError::NotYet));
    }

    #[test]
    fn times_of_the_wrong_type_are_refused() {
        assert_eq!(verify(json!({"exp": (NOW + 10).to_string()})), Err(TokenError::Malformed));
        assert_eq!(verify(json!({"exp": NOW + 10, "nbf": "soon"})), Err(TokenError::Malformed));
        assert_eq!(verify(json!({"exp": NOW + 10, "nbf": [1]})), Err(TokenError::Malformed));
        assert_eq!(verify(json!({"exp": -5})), Err(TokenError::Malformed));
        assert!(verify(json!({"exp": 1_800_000_010.5})).is_ok(), "RFC 7519 §2 allows fractions");
    }

    #[test]
    fn only_hs256_with_the_right_secret_is_read() {
        let claims = json!({"iss": "devkey", "exp": NOW + 10});
        let hs512 = jsonwebtoken::encode(
            &Header::new(Algorithm::HS512),
            &claims,
            &EncodingKey::from_secret(b"secret"),
        );
        let other = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"other"));
        let none = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJkZXZrZXkiLCJleHAiOjQwMDAwMDAwMDB9.";

        assert_eq!(Claims::verify(&hs512.unwrap(), &keys(), now()), Err(TokenError::Malformed));
        assert_eq!(Claims::verify(&other.unwrap(), &keys(), now()), Err(TokenError::Signature));
        assert_eq!(Claims::verify(none, &keys(), now()), Err(TokenError::Malformed));
        assert_eq!(Claims::verify("", &keys(), now()), Err(TokenError::Malformed));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let token =
            Claims { key: "nobody".into(), expires: Some(NumericDate(NOW + 9)), ..Default::default() };

        let verdict = Claims::verify(&token.sign(&secret()).unwrap(), &keys(), now());

        assert_eq!(verdict, Err(TokenError::UnknownKey));
    }

    #[test]
    fn an_old_token_has_its_identity_as_jti() {
        assert_eq!(verify(json!({"exp": NOW + 10, "jti": "ann"})).unwrap().identity, "ann");
    }

    #[test]
    fn absent_permissions_have_their_defaults() {
        let grant: VideoGrant = serde_json::from_value(json!({"roomJoin": true})).unwrap();
        let permission = grant.permission();
        assert!(permission.can_publish && permission.can_subscribe && permission.can_publish_data);
        assert!(!permission.can_update_metadata && !permission.can_subscribe_metrics);

        let grant: VideoGrant = serde_json::from_value(json!({"canPublish": false})).unwrap();
        assert!(!grant.permission().can_publish_data, "data follows publishing");
    }

    #[test]
    fn sources_go_both_ways() {
        let mut grant = VideoGrant {
            can_publish_sources: vec!["screen_share".into(), "nonsense".into()],
            ..Default::default()
        };
        assert_eq!(grant.permission().can_publish_sources, vec![proto::TrackSource::ScreenShare as i32]);

        let permission = grant.permission();
        grant.apply(&permission);

        assert_eq!(grant.can_publish_sources, vec!["screen_share".to_string()]);
    }

    #[test]
    fn a_room_configuration_is_read_as_proto3_json() {
        let claims = verify(json!({"exp": NOW + 10, "roomConfig": {"emptyTimeout": 7}})).unwrap();

        assert_eq!(claims.room_config.unwrap().empty_timeout, 7);
    }

    #[test]
    fn kinds_are_lower_case_words() {
        let claims = verify(json!({"exp": NOW + 10, "kind": "agent"})).unwrap();

        assert_eq!(claims.participant_kind(), proto::participant_info::Kind::Agent);
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
    }

    fn secret() -> Secret<String> {
        Secret("secret".into())
    }

    fn keys() -> Keys {
        Keys::from([("devkey".to_string(), secret())])
    }

    fn verify(mut claims: Value) -> Result<Claims, TokenError> {
        claims["iss"] = json!("devkey");
        let token =
            jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(b"secret")).unwrap();
        Claims::verify(&token, &keys(), now())
    }
}
