//! Coming in, coming back, leaving.
//!
//! Invariants: an identity is in the room once; the first message is `join`, or `reconnect` for who comes back; who is
//! sent away is told before the WebSocket closes.

use std::time::{Duration, Instant};

use sfu::{
    command::Command,
    event::Failure,
    ids::{ParticipantId, TrackId, TransportId},
};

use super::{
    Join, Output, Room,
    announce::{batches, update},
    client::Client,
    farewell::Farewell,
    life::Place,
    link::{Link, OfferState, Progress, Side},
    participant::{Beginning, Held, Participant, Sabotage},
    quality::QUALITY_EVERY,
    timers::Timer,
};
use crate::{
    ids::{SessionId, ice_credentials, sid},
    wire::{
        Say,
        join::{JoinParameters, Topology},
        proto::{self, DisconnectReason, participant_info::State},
    },
};

const PING_INTERVAL: i32 = 5;
const PING_TIMEOUT: i32 = 15;
/// Our signal protocol. With 18, clients of a single connection would expect data channels negotiated out of band.
const PROTOCOL: i32 = 17;
/// The first offer ids lie below this.
const OFFER_ID_BELOW: u64 = 256;
/// How long a participant whose media failed may take to come back.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// How long the offer that follows a join may take. Higher: who makes none waits longer for what others publish.
const HOLD_MAX: Duration = Duration::from_millis(500);
/// Tracks announced with a join.
const ADD_TRACKS_MAX: usize = 20;

impl Room {
    /// Somebody connects.
    pub(super) fn join(&mut self, join: Join, now: Instant) {
        if let Some(resume) = join.parameters.resume.clone() {
            return self.resume(&resume.sid, join, now);
        }
        if let Some(old) = self.identities.get(&join.claims.identity).copied() {
            self.dismiss(old, Farewell::DuplicateIdentity, now);
        }
        let Join { session, claims, parameters } = join;
        let client = Client::new(parameters.client.clone());
        let may_subscribe = claims.video.as_ref().is_some_and(|grant| grant.can_subscribe.unwrap_or(true));
        let primary = match parameters.topology {
            Topology::Dual if may_subscribe && client.takes_subscriber_primary() => Side::Subscriber,
            Topology::Dual | Topology::Single => Side::Publisher,
        };
        let offer_id = u32::try_from(self.random.number() % OFFER_ID_BELOW).unwrap_or_default().max(1);
        let participant = Participant::new(Beginning {
            id: self.numbers.participant(),
            sid: sid("PA_", &mut self.random),
            claims,
            client,
            session,
            link: Link::new(parameters.topology, primary, offer_id),
            joined: self.wall(now),
            auto_subscribe: parameters.auto_subscribe,
            adaptive_stream: parameters.adaptive_stream,
            shortage: parameters.shortage,
        });
        let independent = self.participants.values().filter(|other| !other.is_dependent()).count();
        if !participant.is_dependent() && self.life.place(independent) == Place::Taken {
            let say = Farewell::JoinFailure.message(participant.client.protocol());
            self.outputs.push_back(Output::Send(session, say.into()));
            return self.outputs.push_back(Output::Close(session));
        }
        let id = participant.id;
        self.sessions.insert(session, id);
        self.identities.insert(participant.identity().to_string(), id);
        self.sids.insert(participant.sid.clone(), id);
        self.participants.insert(id, participant);
        self.counts_changed(now);
        self.welcome(id, parameters, now);
    }

    /// The first messages.
    fn welcome(&mut self, id: ParticipantId, parameters: JoinParameters, now: Instant) {
        let Some(response) = self.join_response(id, now) else { return };
        self.say(id, Say::Join(response));
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.state = State::Joined;
            participant.touch();
        }
        self.refresh_token(id, now);
        if let Some(at) = now.checked_add(self.config.join_timeout) {
            self.timers.set(Timer::Join(id), at);
        }
        if let Some(at) = now.checked_add(QUALITY_EVERY) {
            self.timers.set_once(Timer::Quality, at);
        }
        self.open_first_peer(id, now);
        for request in parameters.add_tracks.into_iter().take(ADD_TRACKS_MAX) {
            self.add_track(id, request, now);
        }
        if let Some(offer) = parameters.publisher_offer {
            self.take_offer(id, &offer, now);
        }
        self.hold(id, now);
    }

    /// Some clients must not be made to offer before the offer that follows their join is answered.
    fn hold(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let offers_at_once = participant.permission().can_publish;
        if offers_at_once
            && participant.link.topology() == Topology::Single
            && participant.client.confuses_answers()
            && let Some(at) = now.checked_add(HOLD_MAX)
        {
            participant.held = Held::Until(Vec::new());
            self.timers.set(Timer::Hold(id), at);
        }
    }

    fn open_first_peer(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get(&id) else { return };
        let primary = participant.link.primary();
        self.open_peer(id, primary);
        self.reconcile_participant(id, now);
        if primary == Side::Subscriber {
            self.timers.cancel(Timer::Negotiate(id));
            self.negotiate(id, now);
        }
    }

    fn join_response(&self, id: ParticipantId, now: Instant) -> Option<proto::JoinResponse> {
        let participant = self.participants.get(&id)?;
        let wall = self.wall(now);
        Some(proto::JoinResponse {
            room: Some(self.info()),
            participant: self.info_of(id),
            other_participants: self.visible_to(id),
            server_version: self.config.livekit_version.clone(),
            ice_servers: (self.config.ice_servers)(participant.identity(), wall),
            subscriber_primary: participant.link.primary() == Side::Subscriber,
            client_configuration: participant.client.configuration(),
            server_region: self.config.region.clone(),
            ping_timeout: PING_TIMEOUT,
            ping_interval: PING_INTERVAL,
            server_info: Some(self.server_info()),
            sif_trailer: self.sif_trailer.clone(),
            enabled_publish_codecs: participant.client.publishable(&self.config),
            fast_publish: participant.permission().can_publish,
            ..Default::default()
        })
    }

    fn server_info(&self) -> proto::ServerInfo {
        proto::ServerInfo {
            edition: proto::server_info::Edition::Standard as i32,
            version: self.config.livekit_version.clone(),
            protocol: PROTOCOL,
            region: self.config.region.clone(),
            node_id: self.config.node_id.clone(),
            agent_protocol: 1,
            ..Default::default()
        }
    }

    /// Somebody comes back.
    fn resume(&mut self, sid: &str, join: Join, now: Instant) {
        let session = join.session;
        let known = self.sids.get(sid).copied();
        let known = known.filter(|id| self.identities.get(&join.claims.identity) == Some(id));
        let Some(id) = known else {
            let say = Farewell::StateMismatch.message(join.parameters.client.protocol);
            self.outputs.push_back(Output::Send(session, say.into()));
            return self.outputs.push_back(Output::Close(session));
        };
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if let Some(old) = participant.session.replace(session) {
            self.sessions.remove(&old);
            self.outputs.push_back(Output::Close(old));
        }
        self.sessions.insert(session, id);
        if self.sabotaged_before(id, now) {
            return;
        }
        self.welcome_back(id, join.parameters, now);
    }

    fn welcome_back(&mut self, id: ParticipantId, parameters: JoinParameters, now: Instant) {
        let Some(participant) = self.participants.get(&id) else { return };
        if participant.client.reads_reconnect() {
            let reconnect = proto::ReconnectResponse {
                ice_servers: (self.config.ice_servers)(participant.identity(), self.wall(now)),
                client_configuration: participant.client.configuration(),
                server_info: Some(self.server_info()),
                last_message_seq: participant.data.last_sequence(),
            };
            self.say(id, Say::Reconnect(reconnect));
        }
        if self.sabotaged_after(id, now) {
            return;
        }
        self.tell_everything(id, now);
        self.refresh_token(id, now);
        self.restart_subscriber(id, now);
        if let Some(state) = parameters.sync_state {
            self.sync_state(id, state, now);
        }
        if let Some(offer) = parameters.publisher_offer {
            self.take_offer(id, &offer, now);
        }
        // Whatever media failed has this long to come back from here on.
        let failed = self.participants.get(&id).is_some_and(|participant| participant.link.any_failed());
        if let Some(at) = now.checked_add(self.config.join_timeout).filter(|_| failed) {
            self.timers.set(Timer::Gone(id), at);
        }
    }

    /// All a client may have missed.
    fn tell_everything(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get(&id) else { return };
        let mut all = Vec::new();
        if participant.client.takes_the_departed() {
            all.extend(self.departed_for(participant.away_since, now));
        }
        all.extend(self.info_of(id));
        all.extend(self.visible_to(id));
        for batch in batches(all) {
            self.say(id, update(batch));
        }
        if let Some(participant) = self.participants.get_mut(&id) {
            participant.away_since = None;
        }
        let room = Some(self.info());
        self.say(id, Say::RoomUpdate(proto::RoomUpdate { room }));
    }

    /// Our offer with fresh credentials: the old path may be gone.
    fn restart_subscriber(&mut self, id: ParticipantId, now: Instant) {
        let ice = ice_credentials(self.endpoint.worker, &mut self.random);
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let topology = participant.link.topology();
        let Some(peer) = participant.link.receiving_peer_mut() else { return };
        if topology == Topology::Single {
            // The client offers; what it was asked for before it has forgotten.
            if peer.offer != OfferState::Never {
                peer.offer = OfferState::Settled { tries: 0 };
            }
            self.timers.cancel(Timer::Late(id));
            return;
        }
        peer.connection.restart_ice(ice.clone());
        let transport = peer.transport;
        peer.offer = OfferState::Never;
        self.media(Command::RestartIce(transport, ice));
        self.negotiate(id, now);
    }

    /// A WebSocket is gone.
    pub(super) fn lost(&mut self, session: SessionId, now: Instant) {
        let Some(id) = self.sessions.remove(&session) else { return };
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if participant.session != Some(session) {
            return;
        }
        participant.session = None;
        participant.away_since.get_or_insert(now);
        let primary = participant.link.primary();
        let alive = participant
            .link
            .peer(primary)
            .is_some_and(|peer| matches!(peer.progress, Progress::Connected | Progress::Disconnected));
        let resumable =
            participant.state == State::Active && (alive || participant.link.lost_since.is_some());
        if !resumable {
            self.remove(id, DisconnectReason::SignalClose, now);
        }
    }

    /// Sends a participant away.
    pub(super) fn dismiss(&mut self, id: ParticipantId, farewell: Farewell, now: Instant) {
        let Some(participant) = self.participants.get(&id) else { return };
        let say = farewell.message(participant.client.protocol());
        self.say(id, say);
        self.remove(id, farewell.reason(), now);
    }

    /// A participant is gone, with all that was theirs.
    pub(super) fn remove(&mut self, id: ParticipantId, reason: DisconnectReason, now: Instant) {
        let info = self.info_of(id);
        let Some(participant) = self.participants.get(&id) else { return };
        tracing::info!(
            room = self.life.sid,
            participant = participant.sid,
            reason = reason.as_str_name(),
            "participant gone"
        );
        let (hidden, session) = (participant.is_hidden(), participant.session);
        let tracks: Vec<TrackId> = participant.tracks.iter().copied().collect();
        let subscriptions = self.subscription_index.range((id, TrackId(0))..=(id, TrackId(u64::MAX)));
        let subscriptions: Vec<_> =
            subscriptions.map(|((_, track), subscription)| (*track, *subscription)).collect();
        for track in tracks {
            self.drop_track(track, now);
        }
        self.end_data_tracks_of(id);
        self.forget_data_subscriber(id);
        for (track, subscription) in subscriptions {
            self.drop_subscription(subscription, now);
            self.update_demand(track, now);
        }
        let Some(participant) = self.participants.remove(&id) else { return };
        for transport in participant.link.transports() {
            self.transports.remove(&transport);
            self.media(Command::CloseTransport(transport));
        }
        if let Some(session) = session {
            self.sessions.remove(&session);
            self.outputs.push_back(Output::Close(session));
        }
        self.identities.remove(participant.identity());
        self.sids.remove(&participant.sid);
        self.speaking.remove(&id);
        self.cancel_timers(id);
        self.counts_changed(now);
        if let Some(info) = info.filter(|_| !hidden) {
            self.announce_departure(info, reason, now);
        }
    }

    fn cancel_timers(&mut self, id: ParticipantId) {
        let timers = [
            Timer::Join(id),
            Timer::Negotiate(id),
            Timer::Late(id),
            Timer::Gone(id),
            Timer::Refresh(id),
            Timer::Hold(id),
            Timer::Wanted(id),
            Timer::Hush(id),
        ];
        for timer in timers {
            self.timers.cancel(timer);
        }
    }

    /// A transport's state changed.
    pub(super) fn progress(&mut self, transport: TransportId, progress: Progress, now: Instant) {
        let Some(id) = self.transports.get(&transport).copied() else { return };
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let Some(side) = participant.link.side_of(transport) else { return };
        let Some(peer) = participant.link.peer_mut(side) else { return };
        if peer.progress == Progress::New && progress != Progress::Connected {
            // It never was there: the time to join decides.
            return;
        }
        peer.progress = progress;
        match progress {
            Progress::Connected => self.connected(id, side, now),
            Progress::Failed => self.failed(id, now),
            Progress::New | Progress::Disconnected => {}
        }
    }

    /// A transport is lost.
    pub(super) fn transport_failed(&mut self, transport: TransportId, failure: Failure, now: Instant) {
        match failure {
            Failure::Silence | Failure::Closed => self.progress(transport, Progress::Failed, now),
            // Another ICE path does not help: the client has to begin anew.
            Failure::Handshake | Failure::Fingerprint => {
                if let Some(id) = self.transports.get(&transport).copied() {
                    self.lose_step(id, now);
                }
            }
        }
    }

    fn connected(&mut self, id: ParticipantId, side: Side, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        if !participant.link.any_failed() {
            participant.link.lost_since = None;
            self.timers.cancel(Timer::Gone(id));
        }
        if participant.link.primary() != side || participant.state == State::Active {
            return;
        }
        participant.state = State::Active;
        tracing::info!(
            room = self.life.sid,
            participant = participant.sid,
            sdk = participant.client.name(),
            "participant active"
        );
        self.timers.cancel(Timer::Join(id));
        self.announce_arrival(id, now);
        self.reconcile_participant(id, now);
    }

    /// Media is lost: the client may come back with the same session, if it can hear that.
    fn failed(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.link.lost_since.get_or_insert(now);
        let protocol = participant.client.protocol();
        if participant.session.is_none() {
            return self.remove(id, DisconnectReason::ConnectionTimeout, now);
        }
        self.say(id, Farewell::ConnectionLost.message(protocol));
        if let Some(at) = now.checked_add(GONE_AFTER) {
            self.timers.set(Timer::Gone(id), at);
        }
    }

    /// Media did not come back.
    pub(super) fn gone(&mut self, id: ParticipantId, now: Instant) {
        if self.participants.get(&id).is_some_and(|participant| participant.link.any_failed()) {
            self.dismiss(id, Farewell::ConnectionTimeout, now);
        }
    }

    /// The client did not connect in time.
    pub(super) fn join_late(&mut self, id: ParticipantId, now: Instant) {
        if self.participants.get(&id).is_some_and(|participant| participant.state != State::Active) {
            self.dismiss(id, Farewell::JoinFailure, now);
        }
    }

    /// The client closed its connections: it leaves.
    pub(super) fn leave(&mut self, id: ParticipantId, request: &proto::LeaveRequest, now: Instant) {
        let reason = match DisconnectReason::try_from(request.reason) {
            Ok(
                reason @ (DisconnectReason::UserUnavailable
                | DisconnectReason::UserRejected
                | DisconnectReason::AgentError),
            ) => reason,
            _ => DisconnectReason::ClientInitiated,
        };
        self.remove(id, reason, now);
    }

    /// A test wants this resume to fail before it begins.
    fn sabotaged_before(&mut self, id: ParticipantId, now: Instant) -> bool {
        let Some(participant) = self.participants.get_mut(&id) else { return false };
        let Sabotage::Silent { until, left } = participant.sabotage else { return false };
        if now >= until || left == 0 {
            participant.sabotage = Sabotage::None;
            return false;
        }
        participant.sabotage = Sabotage::Silent { until, left: left.saturating_sub(1) };
        self.abandon_session(id, now);
        true
    }

    /// A test wants this resume to fail after its first message.
    fn sabotaged_after(&mut self, id: ParticipantId, now: Instant) -> bool {
        let Some(participant) = self.participants.get_mut(&id) else { return false };
        if participant.sabotage != Sabotage::AfterReconnect {
            return false;
        }
        participant.sabotage = Sabotage::None;
        self.abandon_session(id, now);
        true
    }

    /// Drops a WebSocket as a broken network would.
    pub(super) fn abandon_session(&mut self, id: ParticipantId, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        participant.away_since.get_or_insert(now);
        if let Some(session) = participant.session.take() {
            self.sessions.remove(&session);
            self.outputs.push_back(Output::Abandon(session));
        }
    }

    /// What a client that comes back knows.
    pub(super) fn sync_state(&mut self, id: ParticipantId, state: proto::SyncState, now: Instant) {
        let known = |published: &proto::TrackPublishedResponse| {
            published.track.as_ref().is_none_or(|track| self.track_of(id, &track.sid).is_some())
        };
        if !state.publish_tracks.iter().all(known) {
            return self.lose_step(id, now);
        }
        if let Some(update) = &state.subscription {
            self.update_subscription(id, update, now);
        }
        if !state.track_sids_disabled.is_empty() {
            self.disable_tracks(id, &state.track_sids_disabled, now);
        }
        self.sync_data_tracks(id, state.publish_data_tracks);
        self.replay(id, &state.datachannel_receive_states);
    }

    /// A token for the same participant that lives longer.
    pub(super) fn refresh_token(&mut self, id: ParticipantId, now: Instant) {
        let wall = self.wall(now);
        let Some(participant) = self.participants.get(&id) else { return };
        if let Some(token) = super::metadata::refreshed(&participant.claims, &self.config.keys, wall) {
            self.say(id, Say::RefreshToken(token));
        }
        if let Some(at) = now.checked_add(super::metadata::REFRESH_EVERY) {
            self.timers.set(Timer::Refresh(id), at);
        }
    }

    /// What a client that comes back does not want at the moment.
    fn disable_tracks(&mut self, id: ParticipantId, tracks: &[String], now: Instant) {
        let settings =
            proto::UpdateTrackSettings { track_sids: tracks.to_vec(), disabled: true, ..Default::default() };
        self.update_settings(id, &settings, now);
    }
}
