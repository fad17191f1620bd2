//! Names, metadata, attributes and rights: who changes them, how large they may be, who is told.
//!
//! Invariants: what is refused changes nothing; whoever's token would say something else gets another one.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use sfu::ids::{ParticipantId, TrackId};

use super::{Room, announce::Echo, participant::merge_attributes, permission::may_publish};
use crate::{
    error::ServiceError,
    token::{Claims, Keys, NumericDate},
    wire::proto::{
        self,
        request_response::{Reason, Request},
    },
};

/// The longest metadata of a participant or a room.
pub(super) const METADATA_LEN_MAX: usize = 512 * 1024;
/// The longest attributes, keys and values together.
const ATTRIBUTES_LEN_MAX: usize = 64 * 1024;
const NAME_LEN_MAX: usize = 256;

/// How often tokens are renewed.
pub(super) const REFRESH_EVERY: Duration = Duration::from_secs(300);
const TOKEN_LIFE_MIN: Duration = Duration::from_secs(600);

/// Something about a participant that is to be otherwise; what is empty stays.
#[derive(Default)]
pub(super) struct Alteration {
    pub(super) name: String,
    pub(super) metadata: String,
    pub(super) attributes: HashMap<String, String>,
    pub(super) permission: Option<proto::ParticipantPermission>,
}

/// Which limit a change breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooLong {
    #[error("name length exceeds limits: max length {NAME_LEN_MAX}")]
    Name,
    #[error("metadata size exceeds limits: max size {METADATA_LEN_MAX}")]
    Metadata,
    #[error("attribute size exceeds limits: max size {ATTRIBUTES_LEN_MAX}")]
    Attributes,
}

impl Room {
    /// A client changes what is known of it.
    pub(super) fn update_metadata(
        &mut self,
        id: ParticipantId,
        request: proto::UpdateParticipantMetadata,
        now: Instant,
    ) {
        let Some(participant) = self.participants.get(&id) else { return };
        let request_id = request.request_id;
        if !participant.permission().can_update_metadata {
            let request = Some(Request::UpdateMetadata(request));
            return self.respond_with(
                id,
                request_id,
                Reason::NotAllowed,
                "does not have permission to update own metadata",
                request,
            );
        }
        let alteration = Alteration {
            name: request.name.clone(),
            metadata: request.metadata.clone(),
            attributes: request.attributes.clone(),
            permission: None,
        };
        match self.alter(id, alteration, now) {
            Ok(()) => {
                let reads =
                    self.participants.get(&id).is_some_and(|participant| participant.client.reads_success());
                if reads {
                    self.respond(id, request_id, Reason::Ok, Some(Request::UpdateMetadata(request)));
                }
            }
            Err(error) => {
                let request = Some(Request::UpdateMetadata(request));
                self.respond_with(id, request_id, Reason::LimitExceeded, &error.to_string(), request);
            }
        }
    }

    /// Changes a participant and tells everybody.
    pub(super) fn alter(
        &mut self,
        id: ParticipantId,
        alteration: Alteration,
        now: Instant,
    ) -> Result<(), TooLong> {
        let Some(participant) = self.participants.get_mut(&id) else { return Ok(()) };
        let Alteration { name, metadata, attributes, permission } = alteration;
        if name.len() > NAME_LEN_MAX {
            return Err(TooLong::Name);
        }
        if metadata.len() > METADATA_LEN_MAX {
            return Err(TooLong::Metadata);
        }
        let mut merged = participant.claims.attributes.clone();
        merge_attributes(&mut merged, attributes);
        let size = merged.iter().map(|(key, value)| key.len().saturating_add(value.len()));
        if size.fold(0, usize::saturating_add) > ATTRIBUTES_LEN_MAX {
            return Err(TooLong::Attributes);
        }
        participant.claims.attributes = merged;
        if !name.is_empty() {
            participant.claims.name = name;
        }
        if !metadata.is_empty() {
            participant.claims.metadata = metadata;
        }
        if let Some(permission) = permission {
            self.permit(id, &permission, now);
        }
        self.announce(id, Echo::Yes);
        self.refresh_token(id, now);
        Ok(())
    }

    /// Replaces what a participant may do.
    fn permit(&mut self, id: ParticipantId, permission: &proto::ParticipantPermission, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let could_subscribe = participant.may_subscribe();
        participant.claims.video.get_or_insert_default().apply(permission);
        let can_subscribe = participant.may_subscribe();
        if could_subscribe && !can_subscribe {
            participant.desires.clear_choices();
        }
        let permission = participant.permission();
        let tracks: Vec<TrackId> = participant.tracks.iter().copied().collect();
        for track in tracks {
            let source = self.tracks.get(&track).map(|known| known.info.source);
            if source.is_some_and(|source| !may_publish(&permission, source)) {
                self.unpublish(track, now);
            }
        }
        if !permission.can_publish_data {
            self.end_data_tracks_of(id);
        }
        if could_subscribe != can_subscribe {
            self.reconcile_participant(id, now);
            self.reconcile_data_tracks(id);
        }
    }

    /// Replaces the room's metadata.
    pub(super) fn set_metadata(&mut self, metadata: String) -> Result<(), ServiceError> {
        if metadata.len() > METADATA_LEN_MAX {
            return Err(ServiceError::InvalidArgument(TooLong::Metadata.to_string()));
        }
        self.life.set_metadata(metadata);
        self.tell_room();
        Ok(())
    }
}

/// The same claims, alive for longer, signed by our first key.
pub(super) fn refreshed(claims: &Claims, keys: &Keys, wall: SystemTime) -> Option<String> {
    let (key, secret) = keys.first_key_value()?;
    let now = NumericDate::of(wall);
    let least = now.0.saturating_add(TOKEN_LIFE_MIN.as_secs());
    let expires = claims.expires.map_or(least, |expires| expires.0.max(least));
    let claims = Claims {
        key: key.clone(),
        id: None,
        not_before: Some(now),
        expires: Some(NumericDate(expires)),
        sha256: String::new(),
        ..claims.clone()
    };
    claims.sign(secret).ok()
}

#[cfg(test)]
mod tests {
    use sfu::params::Secret;

    use super::*;

    #[test]
    fn a_renewed_token_says_the_same_and_lives_for_ten_minutes_at_least() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let keys = Keys::from([("devkey".to_string(), Secret("secret".to_string()))]);
        let claims = Claims {
            identity: "ann".into(),
            name: "Ann".into(),
            expires: Some(NumericDate(1_800_000_001)),
            ..Default::default()
        };

        let token = refreshed(&claims, &keys, wall).unwrap();

        let later = wall + Duration::from_secs(600);
        let read = Claims::verify(&token, &keys, later).unwrap();
        assert_eq!((read.identity.as_str(), read.name.as_str()), ("ann", "Ann"));
    }
}
