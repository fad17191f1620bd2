//! Offers and answers: when to make one, and what comes of it.
//!
//! Invariants: at most one offer of ours waits; an answer has the id of its offer; a client that does not negotiate is
//! sent to begin anew.

use std::time::{Duration, Instant};

use sfu::{
    command::Command,
    ids::{ParticipantId, TrackId, TransportId},
    params::{ChannelSetup, Consent, Delivery, TrackParameters},
};

use super::{
    Room,
    farewell::Farewell,
    link::{OfferState, Peer, Progress, Side},
    participant::Held,
    subscription::Stage,
    timers::Timer,
};
use crate::{
    ids::ice_credentials,
    negotiate::{Change, DataSection, Local, PeerConnection, Role, Sections},
    wire::{
        Say,
        join::Topology,
        proto::{self, SessionDescription},
    },
};

/// What changes within this time is negotiated together.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// How long a client may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// A client that offers something else than what was asked for is asked again after this, times the number of tries.
const RETRY_AFTER: Duration = Duration::from_millis(1000);
/// How often a client is asked for sections it does not offer.
const TRIES_MAX: u32 = 5;

/// A published track and where it is: what [`Change::Published`] carries.
struct Publication {
    track: TrackId,
    params: TrackParameters,
    mid: String,
    mime: String,
    cid: Option<String>,
}

impl Room {
    /// Makes the peer connection of a side, unless it is there.
    pub(super) fn open_peer(&mut self, id: ParticipantId, side: Side) {
        let Some(participant) = self.participants.get(&id) else { return };
        if participant.link.peer(side).is_some() {
            return;
        }
        let primary = participant.link.primary();
        let (role, channels) = match (participant.link.topology(), side) {
            (Topology::Single, _) => (Role::Single, ChannelSetup::ByClient),
            (Topology::Dual, Side::Publisher) => (Role::Publisher, ChannelSetup::ByClient),
            (Topology::Dual, Side::Subscriber) => (Role::Subscriber, ChannelSetup::ByServer),
        };
        let data = if primary == side { DataSection::Offered } else { DataSection::Absent };
        let policy = participant.client.policy(&self.config, data);
        let ice = ice_credentials(self.endpoint.worker, &mut self.random);
        let local = Local { ice: ice.clone(), endpoint: self.endpoint.clone() };
        let transport = self.numbers.transport();
        let connection = PeerConnection::new(role, local, policy, self.random.number());
        self.media(Command::OpenTransport {
            room: self.id,
            participant: id,
            transport,
            local: ice,
            channels,
            consent: Consent::default(),
        });
        self.transports.insert(transport, id);
        let peer = Peer { transport, connection, progress: Progress::New, offer: OfferState::Never };
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.link.insert(side, peer);
        }
    }

    /// Something changed that a participant's description must say.
    pub(super) fn want_negotiation(&mut self, id: ParticipantId, now: Instant) {
        if let Some(at) = now.checked_add(DEBOUNCE) {
            self.timers.set_once(Timer::Negotiate(id), at);
        }
    }

    /// Says what changed, when something did and nothing else is under way.
    pub(super) fn negotiate(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.session.is_none() || participant.held != Held::Never {
            return;
        }
        let topology = participant.link.topology();
        let offer_id = participant.link.next_offer.max(1);
        let Some(peer) = participant.link.receiving_peer_mut() else { return };
        let (never, tries) = match peer.offer {
            OfferState::Never => (true, 0),
            OfferState::Settled { tries } => (false, tries),
            OfferState::Waiting { .. } => return,
        };
        let needed = peer.connection.needs_negotiation();
        let say = match topology {
            Topology::Dual if never || needed => {
                let Ok(sdp) = peer.connection.offer() else { return self.lose_step(id, now) };
                peer.offer = OfferState::Waiting { id: offer_id, tries: 0, missing: Sections::default() };
                participant.link.next_offer = offer_id.wrapping_add(1);
                Say::Offer(description("offer", sdp, offer_id))
            }
            Topology::Single if !never && needed => {
                let missing = peer.connection.sections_missing();
                peer.offer = OfferState::Waiting { id: 0, tries, missing };
                Say::MediaSectionsRequirement(proto::MediaSectionsRequirement {
                    num_audios: missing.audio,
                    num_videos: missing.video,
                })
            }
            Topology::Dual | Topology::Single => return,
        };
        self.say(id, say);
        if let Some(at) = now.checked_add(ANSWER_MAX) {
            self.timers.set(Timer::Late(id), at);
        }
    }

    /// The client did not answer.
    pub(super) fn late(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(peer) = participant.link.receiving_peer_mut() else { return };
        if !matches!(peer.offer, OfferState::Waiting { .. }) {
            return;
        }
        if participant.session.is_some() {
            return self.lose_step(id, now);
        }
        peer.offer = OfferState::Settled { tries: 0 };
    }

    /// What the client believes and what is so differ: it has to begin anew.
    pub(super) fn lose_step(&mut self, id: ParticipantId, now: Instant) {
        self.dismiss(id, Farewell::StateMismatch, now);
    }

    /// A client's offer.
    pub(super) fn take_offer(&mut self, id: ParticipantId, offer: &SessionDescription, now: Instant) {
        self.open_peer(id, Side::Publisher);
        let fresh = ice_credentials(self.endpoint.worker, &mut self.random);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let topology = participant.link.topology();
        let Some(peer) = participant.link.peer_mut(Side::Publisher) else { return };
        let (transport, before) = (peer.transport, peer.offer);
        let answer = match peer.connection.answer(&offer.sdp, fresh) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "offer refused");
                return self.lose_step(id, now);
            }
        };
        let missing = peer.connection.sections_missing();
        let tries = match before {
            OfferState::Waiting { tries, missing: asked, .. } if asked == missing => tries.saturating_add(1),
            OfferState::Never | OfferState::Settled { .. } | OfferState::Waiting { .. } => 0,
        };
        peer.offer = OfferState::Settled { tries };
        let again = topology == Topology::Single && peer.connection.needs_negotiation();
        let published = self.apply(id, transport, answer.changes, now);
        let mut reply = description("answer", answer.sdp, offer.id);
        reply.mid_to_track_id = answer.mid_to_track_id.into_iter().collect();
        self.say(id, Say::Answer(reply));
        self.say_held(id, now);
        if topology == Topology::Single {
            self.timers.cancel(Timer::Late(id));
        }
        self.announce_published(id, &published, now);
        if again && tries < TRIES_MAX {
            let wait = RETRY_AFTER.saturating_mul(tries).max(DEBOUNCE);
            if let Some(at) = now.checked_add(wait) {
                self.timers.set(Timer::Negotiate(id), at);
            }
        }
    }

    /// A client's answer to our offer.
    pub(super) fn take_answer(&mut self, id: ParticipantId, answer: &SessionDescription, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(peer) = participant.link.peer_mut(Side::Subscriber) else { return };
        let OfferState::Waiting { id: offered, .. } = peer.offer else { return };
        // Some clients answer with 0 whatever the offer's id was.
        if answer.id != 0 && answer.id != offered {
            return;
        }
        let transport = peer.transport;
        let changes = match peer.connection.accept_answer(&answer.sdp) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::debug!(%error, "answer refused");
                return self.lose_step(id, now);
            }
        };
        peer.offer = OfferState::Settled { tries: 0 };
        let again = peer.connection.needs_negotiation();
        self.timers.cancel(Timer::Late(id));
        self.apply(id, transport, changes, now);
        if again {
            self.want_negotiation(id, now);
        }
    }

    /// Does what was agreed; tells which tracks are published by it.
    pub(super) fn apply(
        &mut self,
        id: ParticipantId,
        transport: TransportId,
        changes: Vec<Change>,
        now: Instant,
    ) -> Vec<TrackId> {
        let mut published = Vec::new();
        for change in changes {
            match change {
                Change::RestartedIce(ice) => self.media(Command::RestartIce(transport, ice)),
                Change::Remote(remote) => self.media(Command::SetRemote(transport, remote)),
                Change::Receive(receive) => self.media(Command::SetReceive(transport, receive)),
                Change::DataChannels => {}
                Change::Unpublished(track) => self.unpublished(track, now),
                Change::Published { track, params, mid, mime, cid } => {
                    let publication = Publication { track, params, mid, mime, cid };
                    published.extend(self.take_publication(transport, publication));
                }
                Change::Unpublishable(track) => self.unpublishable(id, track),
                Change::Unsubscribed(subscription) => {
                    if let Some(known) = self.subscriptions.get_mut(&subscription) {
                        known.delivery = Stage::Waiting;
                        self.media(Command::Unsubscribe(subscription));
                    }
                }
                Change::Subscribed { subscription, send, mid: _ } => self.subscribed(subscription, send, now),
                Change::Refused { subscription, why } => {
                    tracing::debug!(%why, "subscription refused");
                    if !self.fall_back(subscription, now) {
                        let error = proto::SubscriptionError::SeCodecUnsupported;
                        self.refuse_subscription(subscription, error, now);
                    }
                }
            }
        }
        published
    }

    fn take_publication(&mut self, transport: TransportId, publication: Publication) -> Option<TrackId> {
        let Publication { track, params, mid, mime, cid } = publication;
        if self.backups.contains_key(&track) {
            return self.backup_published(track, transport, params, mid);
        }
        let known = self.tracks.get_mut(&track)?;
        known.publish(&params, mid, mime, cid);
        let muted = known.info.muted;
        self.media(Command::Publish(transport, track, params));
        if muted {
            self.media(Command::SetDelivery(track, Delivery::Paused));
        }
        Some(track)
    }
}

/// A description for a client.
pub(super) fn description(kind: &str, sdp: String, id: u32) -> SessionDescription {
    SessionDescription { r#type: kind.to_string(), sdp, id, ..Default::default() }
}
