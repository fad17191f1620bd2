//! Who may come in: the checks before a WebSocket opens, in the order clients know.
//!
//! Invariant: the room's name comes from the token alone.

use crate::{
    config::{AutoCreate, Config},
    error::{ROOM_MISSING, Refusal},
    token::Claims,
    wire::join::JoinParameters,
};

/// The longest room name.
pub const ROOM_NAME_LEN_MAX: usize = 256;
/// The longest identity.
pub const IDENTITY_LEN_MAX: usize = 256;

/// Whether a room is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It is.
    Open,
    /// It is not.
    Missing,
}

/// Who comes in, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    /// The room's name.
    pub room: String,
    /// The token, as changed by what the client asked for.
    pub claims: Claims,
}

/// Decides whether a bearer may connect as the parameters say.
///
/// # Errors
/// An HTTP status and a text.
pub fn admit(
    claims: Option<Claims>,
    parameters: &JoinParameters,
    config: &Config,
    rooms: impl FnOnce(&str) -> Existence,
) -> Result<Admission, Refusal> {
    let mut claims = claims.ok_or_else(Refusal::denied)?;
    let video = claims.video.as_mut().ok_or_else(Refusal::denied)?;
    if !video.room_join {
        return Err(Refusal::denied());
    }
    if claims.identity.is_empty() {
        return Err(Refusal::bad_request("identity cannot be empty"));
    }
    if claims.identity.len() > IDENTITY_LEN_MAX {
        let text = format!("participant identity length exceeds limits: max length {IDENTITY_LEN_MAX}");
        return Err(Refusal::bad_request(text));
    }
    let room = video.room.clone();
    if room.is_empty() {
        return Err(Refusal::bad_request("no room name"));
    }
    if room.len() > ROOM_NAME_LEN_MAX {
        let text = format!("room name length exceeds limits: max length {ROOM_NAME_LEN_MAX}");
        return Err(Refusal::bad_request(text));
    }
    if let Some(suffix) = &parameters.publish {
        if !video.can_publish.unwrap_or(true) {
            return Err(Refusal::denied());
        }
        video.can_subscribe = Some(false);
        claims.identity = format!("{}#{suffix}", claims.identity);
    }
    if config.auto_create == AutoCreate::Off && !video.room_create && rooms(&room) == Existence::Missing {
        return Err(Refusal::new(404, ROOM_MISSING));
    }
    let may_update = video.can_update_own_metadata.unwrap_or(false);
    let updates = !parameters.metadata.is_empty() || !parameters.attributes.is_empty();
    if updates && !may_update {
        return Err(Refusal::denied());
    }
    if !parameters.metadata.is_empty() {
        claims.metadata.clone_from(&parameters.metadata);
    }
    claims.attributes.extend(parameters.attributes.clone());
    Ok(Admission { room, claims })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::VideoGrant;

    /// What lacks, and what is said then.
    type Lack = (fn(&mut Claims), u16, &'static str);

    #[test]
    fn a_token_with_room_and_identity_comes_in() {
        assert_eq!(check(|_| ()).unwrap().room, "r");
    }

    #[test]
    fn each_lack_has_its_status_and_text() {
        let lacks: [Lack; 6] = [
            (|claims| claims.video = None, 401, "permissions denied"),
            (|claims| video(claims).room_join = false, 401, "permissions denied"),
            (|claims| claims.identity.clear(), 400, "identity cannot be empty"),
            (|claims| video(claims).room.clear(), 400, "no room name"),
            (
                |claims| claims.identity = "i".repeat(257),
                400,
                "participant identity length exceeds limits: max length 256",
            ),
            (
                |claims| video(claims).room = "r".repeat(257),
                400,
                "room name length exceeds limits: max length 256",
            ),
        ];
        for (lack, status, text) in lacks {
            assert_eq!(check(lack).unwrap_err(), Refusal::new(status, text));
        }
        let nobody = admit(None, &JoinParameters::default(), &Config::default(), |_| Existence::Open);
        assert_eq!(nobody.unwrap_err().status, 401);
    }

    #[test]
    fn who_may_not_join_is_told_so_before_being_told_what_lacks() {
        let refusal = check(|claims| {
            video(claims).room_join = false;
            claims.identity.clear();
        });

        assert_eq!(refusal.unwrap_err().status, 401);
    }

    #[test]
    fn a_missing_room_is_404_when_rooms_are_not_made_by_joining() {
        let config = Config { auto_create: AutoCreate::Off, ..Config::default() };
        let try_join = |claims, existence| {
            admit(Some(claims), &JoinParameters::default(), &config, |_| existence).map(|_| ())
        };
        let mut creator = claims();
        video(&mut creator).room_create = true;

        assert_eq!(try_join(claims(), Existence::Missing), Err(Refusal::new(404, ROOM_MISSING)));
        assert_eq!(try_join(claims(), Existence::Open), Ok(()));
        assert_eq!(try_join(creator, Existence::Missing), Ok(()));
    }

    #[test]
    fn own_metadata_needs_a_grant() {
        let parameters = JoinParameters { metadata: "mine".into(), ..Default::default() };
        let admit = |claims| admit(Some(claims), &parameters, &Config::default(), |_| Existence::Open);
        let mut trusted = claims();
        video(&mut trusted).can_update_own_metadata = Some(true);

        assert_eq!(admit(claims()).unwrap_err().status, 401);
        assert_eq!(admit(trusted).unwrap().claims.metadata, "mine");
    }

    #[test]
    fn a_publishing_twin_has_another_identity_and_receives_nothing() {
        let parameters = JoinParameters { publish: Some("screen".into()), ..Default::default() };

        let admission = admit(Some(claims()), &parameters, &Config::default(), |_| Existence::Open).unwrap();

        assert_eq!(admission.claims.identity, "ann#screen");
        assert_eq!(admission.claims.video.unwrap().can_subscribe, Some(false));
    }

    fn claims() -> Claims {
        let video = VideoGrant { room_join: true, room: "r".into(), ..Default::default() };
        Claims { identity: "ann".into(), video: Some(video), ..Default::default() }
    }

    fn video(claims: &mut Claims) -> &mut VideoGrant {
        claims.video.as_mut().unwrap()
    }

    fn check(change: impl FnOnce(&mut Claims)) -> Result<Admission, Refusal> {
        let mut claims = claims();
        change(&mut claims);
        admit(Some(claims), &JoinParameters::default(), &Config::default(), |_| Existence::Open)
    }
}
