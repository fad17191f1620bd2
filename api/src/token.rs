//! `sabha token create`: who may do what, signed.

use std::time::{Duration, SystemTime};

use clap::{ArgAction, Args};
use sfu::params::Secret;
use signaling::token::{Claims, Keys, NumericDate, TokenError, VideoGrant};

use crate::config::Span;

/// LiveKit's SDKs make tokens for this long.
const TTL_DEFAULT: Duration = Duration::from_secs(6 * 3_600);

/// What the token says.
#[derive(Args, Clone, Debug, Default)]
pub struct TokenArguments {
    /// The room it is about. With an identity it lets its bearer join.
    #[arg(long, value_name = "NAME")]
    pub room: Option<String>,
    /// Who the bearer is; one at a time per room. A token for the server API needs none.
    #[arg(long, value_name = "ID")]
    pub identity: Option<String>,
    /// What others see as the bearer's name.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Metadata of the participant.
    #[arg(long, value_name = "TEXT")]
    pub metadata: Option<String>,
    /// An attribute of the participant, as key=value; may be repeated.
    #[arg(long = "attribute", value_name = "KEY=VALUE", value_parser = attribute)]
    pub attributes: Vec<(String, String)>,
    /// How long it is valid. Default: 6h.
    #[arg(long, value_name = "TIME")]
    pub ttl: Option<Span>,
    /// The kind of participant: standard, agent, ingress, egress, sip.
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    #[command(flatten)]
    grants: Grants,
    /// Which of the keys signs. Default: the first.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,
    /// The secret of --api-key, when the settings do not have it.
    #[arg(long, value_name = "SECRET", requires = "api_key")]
    pub api_secret: Option<String>,
}

/// What the bearer may do; what is not said is LiveKit's default.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
struct Grants {
    /// May publish tracks. Default: yes.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    can_publish: Option<bool>,
    /// May receive tracks. Default: yes.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    can_subscribe: Option<bool>,
    /// May send data. Default: as --can-publish.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    can_publish_data: Option<bool>,
    /// May publish only these: camera, microphone, screen_share, screen_share_audio.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    can_publish_sources: Vec<String>,
    /// May change its own name, metadata and attributes. Default: no.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    can_update_own_metadata: Option<bool>,
    /// Is seen by nobody.
    #[arg(long)]
    hidden: bool,
    /// Records the room.
    #[arg(long)]
    recorder: bool,
    /// Is an agent.
    #[arg(long)]
    agent: bool,
    /// May do everything in --room through the server API.
    #[arg(long)]
    room_admin: bool,
    /// May make and delete rooms.
    #[arg(long)]
    room_create: bool,
    /// May list rooms.
    #[arg(long)]
    room_list: bool,
    /// May record rooms.
    #[arg(long)]
    room_record: bool,
    /// May manage ingress.
    #[arg(long)]
    ingress_admin: bool,
    /// The room a participant may be moved or forwarded to.
    #[arg(long, value_name = "NAME")]
    destination_room: Option<String>,
}

/// Why no token is made.
#[derive(Debug, thiserror::Error)]
pub enum TokenProblem {
    /// The key is not among the server's.
    #[error("the key {0:?} is not among the server's: give its --api-secret")]
    UnknownKey(String),
    /// There is no key at all.
    #[error("there is no key to sign with")]
    NoKey,
    /// It would allow nothing.
    #[error(
        "the token would allow nothing: give --room and --identity to join, or --room-create, --room-list, …"
    )]
    Nothing,
    /// An administrator of no room.
    #[error("--room-admin needs --room")]
    AdminOfNothing,
    /// Not one of the sources.
    #[error("{0:?} is no source: camera, microphone, screen_share, screen_share_audio")]
    Source(String),
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] TokenError),
}

impl TokenArguments {
    /// The token, signed with one of `keys`.
    pub fn sign(&self, keys: &Keys, now: SystemTime) -> Result<String, TokenProblem> {
        let (key, secret) = self.key(keys)?;
        let grant = self.grant()?;
        let ttl = self.ttl.map_or(TTL_DEFAULT, |span| span.0);
        let claims = Claims {
            key,
            identity: self.identity.clone().unwrap_or_default(),
            not_before: Some(NumericDate::of(now)),
            expires: Some(NumericDate::of(now.checked_add(ttl).unwrap_or(now))),
            name: self.name.clone().unwrap_or_default(),
            kind: self.kind.clone().unwrap_or_default(),
            metadata: self.metadata.clone().unwrap_or_default(),
            attributes: self.attributes.iter().cloned().collect(),
            video: Some(grant),
            ..Claims::default()
        };
        Ok(claims.sign(&secret)?)
    }

    fn key(&self, keys: &Keys) -> Result<(String, Secret<String>), TokenProblem> {
        match (&self.api_key, &self.api_secret) {
            (Some(key), Some(secret)) => Ok((key.clone(), Secret(secret.clone()))),
            (Some(key), None) => keys
                .get_key_value(key)
                .map(|(key, secret)| (key.clone(), secret.clone()))
                .ok_or_else(|| TokenProblem::UnknownKey(key.clone())),
            (None, _) => keys
                .first_key_value()
                .map(|(key, secret)| (key.clone(), secret.clone()))
                .ok_or(TokenProblem::NoKey),
        }
    }

    fn grant(&self) -> Result<VideoGrant, TokenProblem> {
        const SOURCES: [&str; 4] = ["camera", "microphone", "screen_share", "screen_share_audio"];
        let grants = &self.grants;
        let joins = self.room.is_some() && self.identity.is_some();
        let serves = [
            grants.room_admin,
            grants.room_create,
            grants.room_list,
            grants.room_record,
            grants.ingress_admin,
        ];
        if !joins && !serves.contains(&true) {
            return Err(TokenProblem::Nothing);
        }
        if grants.room_admin && self.room.is_none() {
            return Err(TokenProblem::AdminOfNothing);
        }
        if let Some(source) =
            grants.can_publish_sources.iter().find(|source| !SOURCES.contains(&source.as_str()))
        {
            return Err(TokenProblem::Source(source.clone()));
        }
        Ok(VideoGrant {
            room_create: grants.room_create,
            room_list: grants.room_list,
            room_record: grants.room_record,
            room_admin: grants.room_admin,
            room_join: joins,
            room: self.room.clone().unwrap_or_default(),
            can_publish: grants.can_publish,
            can_subscribe: grants.can_subscribe,
            can_publish_data: grants.can_publish_data,
            can_publish_sources: grants.can_publish_sources.clone(),
            can_update_own_metadata: grants.can_update_own_metadata,
            ingress_admin: grants.ingress_admin,
            hidden: grants.hidden,
            recorder: grants.recorder,
            agent: grants.agent,
            destination_room: grants.destination_room.clone().unwrap_or_default(),
            ..VideoGrant::default()
        })
    }
}

fn attribute(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("an attribute is written key=value")?;
    Ok((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        token: TokenArguments,
    }

    #[test]
    fn a_token_says_what_the_flags_say() {
        let token = line(&[
            "--room",
            "r",
            "--identity",
            "ann",
            "--name",
            "Ann",
            "--attribute",
            "a=b=c",
            "--can-publish=false",
            "--can-publish-sources",
            "camera,microphone",
            "--ttl",
            "1m",
            "--hidden",
        ]);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);

        let signed = token.sign(&keys(), now).unwrap();

        let claims = Claims::verify(&signed, &keys(), now).unwrap();
        let grant = claims.video.unwrap();
        assert_eq!((claims.identity.as_str(), claims.name.as_str()), ("ann", "Ann"));
        assert_eq!(claims.attributes.get("a").map(String::as_str), Some("b=c"));
        assert_eq!(claims.expires, Some(NumericDate(1_800_000_060)));
        assert!(grant.room_join && grant.hidden && grant.room == "r");
        assert_eq!((grant.can_publish, grant.can_subscribe), (Some(false), None));
        assert_eq!(grant.can_publish_sources, ["camera", "microphone"]);
    }

    #[test]
    fn a_key_that_is_not_the_servers_needs_its_secret() {
        let now = SystemTime::UNIX_EPOCH;
        let known = line(&["--room-list", "--api-key", "devkey"]);
        let unknown = line(&["--room-list", "--api-key", "other"]);
        let given = line(&["--room-list", "--api-key", "other", "--api-secret", "s"]);

        assert!(known.sign(&keys(), now).is_ok());
        assert!(matches!(unknown.sign(&keys(), now), Err(TokenProblem::UnknownKey(_))));
        assert!(given.sign(&keys(), now).is_ok());
    }

    #[test]
    fn a_token_that_allows_nothing_is_not_made() {
        for arguments in [&["--room", "r"][..], &["--identity", "ann"], &["--room-admin"], &[]] {
            assert!(line(arguments).sign(&keys(), SystemTime::UNIX_EPOCH).is_err(), "{arguments:?}");
        }
        let typo = line(&["--room", "r", "--identity", "ann", "--can-publish-sources", "cam"]);
        assert!(matches!(typo.sign(&keys(), SystemTime::UNIX_EPOCH), Err(TokenProblem::Source(_))));
    }

    fn line(arguments: &[&str]) -> TokenArguments {
        Line::try_parse_from(["sabha"].iter().chain(arguments)).unwrap().token
    }

    fn keys() -> Keys {
        Keys::from([("devkey".into(), Secret("secret".into()))])
    }
}
