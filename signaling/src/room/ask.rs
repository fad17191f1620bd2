//! What clients ask, one line each.

use std::time::{Duration, Instant};

use sfu::{command::Command, ids::ParticipantId, units::Bitrate};

use super::{Room, farewell::Farewell, participant::Sabotage, timers::Timer};
use crate::{
    ids::SessionId,
    wire::{
        Ask, Say,
        proto::{
            self, DisconnectReason,
            request_response::{Reason, Request},
            simulate_scenario::Scenario,
        },
    },
};

/// How long, and how often, a test may keep resumes from happening.
const SILENT_FOR: Duration = Duration::from_secs(5);
const SILENT_TIMES: u32 = 3;

impl Room {
    /// A client asks something.
    #[expect(deprecated, reason = "old clients ask the old things")]
    pub(super) fn ask(&mut self, session: SessionId, ask: Ask, now: Instant) {
        let Some(id) = self.sessions.get(&session).copied() else { return };
        match ask {
            Ask::Offer(offer) => self.take_offer(id, &offer, now),
            Ask::Answer(answer) => self.take_answer(id, &answer, now),
            // We are ICE-lite: a client's candidates show themselves in its checks (RFC 8445 §7.3.1.3).
            Ask::Trickle(_) | Ask::UpdateLayers(_) => {}
            Ask::AddTrack(request) => self.add_track(id, request, now),
            Ask::Mute(request) => self.mute(id, request, now),
            Ask::Subscription(update) => self.update_subscription(id, &update, now),
            Ask::TrackSetting(settings) => self.update_settings(id, &settings, now),
            Ask::Leave(request) => self.leave(id, &request, now),
            Ask::SubscriptionPermission(permission) => self.set_audience(id, &permission, now),
            Ask::SyncState(state) => self.sync_state(id, state, now),
            Ask::Simulate(scenario) => self.simulate(id, scenario, now),
            Ask::Ping(_) => self.say(id, Say::Pong(self.wall_ms(now))),
            Ask::PingReq(ping) => self.pong(id, ping, now),
            Ask::UpdateMetadata(request) => self.update_metadata(id, request, now),
            Ask::UpdateAudioTrack(update) => self.update_audio_track(id, update),
            Ask::UpdateVideoTrack(update) => self.update_video_track(id, update),
            Ask::PublishDataTrackRequest(request) => self.publish_data_track(id, request),
            Ask::UnpublishDataTrackRequest(request) => self.unpublish_data_track(id, request),
            Ask::UpdateDataSubscription(update) => self.update_data_subscription(id, &update),
            Ask::StoreDataBlobRequest(request) => {
                self.respond(id, request.request_id, Reason::NotAllowed, None)
            }
            Ask::GetDataBlobRequest(request) => {
                self.respond(id, request.request_id, Reason::NotAllowed, None)
            }
        }
    }

    fn pong(&mut self, id: ParticipantId, ping: proto::Ping, now: Instant) {
        let timestamp = self.wall_ms(now);
        self.say(id, Say::PongResp(proto::Pong { last_ping_timestamp: ping.timestamp, timestamp }));
    }

    /// Answers a request that did not simply succeed.
    pub(super) fn respond(
        &mut self,
        id: ParticipantId,
        request_id: u32,
        reason: Reason,
        request: Option<Request>,
    ) {
        let message = match reason {
            Reason::NotAllowed => "does not have permission",
            Reason::NotFound => "not found",
            Reason::LimitExceeded => "limit exceeded",
            Reason::UnsupportedType => "unsupported type",
            _ => "",
        };
        self.respond_with(id, request_id, reason, message, request);
    }

    /// Answers a request in words.
    pub(super) fn respond_with(
        &mut self,
        id: ParticipantId,
        request_id: u32,
        reason: Reason,
        message: &str,
        request: Option<Request>,
    ) {
        if !self.participants.get(&id).is_some_and(|participant| participant.client.reads_request_responses())
        {
            return;
        }
        self.say(
            id,
            Say::RequestResponse(proto::RequestResponse {
                request_id,
                reason: reason as i32,
                message: message.to_string(),
                request,
            }),
        );
    }

    /// A test wants to see how its client bears something.
    fn simulate(&mut self, id: ParticipantId, scenario: proto::SimulateScenario, now: Instant) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        match scenario.scenario {
            Some(Scenario::SpeakerUpdate(seconds)) => {
                let time = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
                self.pretend_to_speak(id, time, now);
            }
            Some(Scenario::NodeFailure(_)) => {
                self.abandon_session(id, now);
                self.remove(id, DisconnectReason::UnknownReason, now);
            }
            Some(Scenario::Migration(_)) => self.abandon_session(id, now),
            Some(Scenario::ServerLeave(_)) => self.dismiss(id, Farewell::ServerLeave, now),
            Some(Scenario::SwitchCandidateProtocol(_)) => self.ask_to_resume(id),
            Some(Scenario::DisconnectSignalOnResume(_)) => participant.sabotage = Sabotage::AfterReconnect,
            Some(Scenario::DisconnectSignalOnResumeNoMessages(_)) => {
                let until = now.checked_add(SILENT_FOR).unwrap_or(now);
                participant.sabotage = Sabotage::Silent { until, left: SILENT_TIMES };
            }
            Some(Scenario::LeaveRequestFullReconnect(_)) => self.dismiss(id, Farewell::StateMismatch, now),
            Some(Scenario::SubscriberBandwidth(bps)) => {
                let limit = u64::try_from(bps).ok().filter(|bps| *bps > 0).map(Bitrate::bps);
                let receiving = participant.link.peer(participant.link.receiving());
                if let Some(transport) = receiving.map(|peer| peer.transport) {
                    self.media(Command::LimitBandwidth(transport, limit));
                }
            }
            None => {}
        }
    }

    /// The client restarts ICE by coming back.
    fn ask_to_resume(&mut self, id: ParticipantId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let say = Farewell::ConnectionLost.message(participant.client.protocol());
        self.say(id, say);
    }

    /// A timer is due.
    pub(super) fn due(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Join(id) => self.join_late(id, now),
            Timer::Negotiate(id) => self.negotiate(id, now),
            Timer::Late(id) => self.late(id, now),
            Timer::Gone(id) => self.gone(id, now),
            Timer::Refresh(id) => self.refresh_token(id, now),
            Timer::Hold(id) => self.say_held(id, now),
            Timer::Wanted(id) => self.report_missing(id, now),
            Timer::Hush(id) => self.hush(id),
            Timer::Dynacast(track) => self.update_demand(track, now),
            Timer::Backup(track) => self.give_up_backup(track, now),
            Timer::Announce => self.announce_quiet(),
            Timer::Counts => self.tell_room(),
            Timer::Quality => self.judge_quality(now),
        }
    }
}
