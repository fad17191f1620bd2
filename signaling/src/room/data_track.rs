//! Data tracks: frames beside sound and picture, published and received by handle.
//!
//! Invariants: nobody receives what the publisher's audience or their own rights exclude; of a packet only the handle is
//! rewritten; a handle names one track to a subscriber for as long as it is told of it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use sfu::{command::Command, ids::ParticipantId, params::Channel};

use super::{Room, announce::Echo};
use crate::{
    ids::sid,
    wire::{
        Say,
        proto::{
            self, DataTrackInfo,
            data_track_subscriber_handles::PublishedDataTrack,
            participant_info::State,
            request_response::{Reason, Request},
        },
    },
};

/// Data tracks of one participant. Higher: larger announcements.
const TRACKS_MAX: usize = 256;
/// Data tracks somebody may wait for or receive.
const WANTED_MAX: usize = 1024;
const NAME_LEN_MAX: usize = 256;
/// The header of a packet: version and flags, reserved, handle, sequence, frame number, timestamp.
const HEADER_LEN: usize = 12;
/// Where the handle stands in it.
const HANDLE_AT: std::ops::Range<usize> = 2..4;

/// A data track and who receives it under which handle.
#[derive(Debug)]
pub(super) struct DataTrack {
    owner: ParticipantId,
    info: DataTrackInfo,
    subscribers: BTreeMap<ParticipantId, u16>,
}

/// What a participant publishes and receives by handle.
#[derive(Debug, Default)]
pub(super) struct DataTracks {
    /// The sids of what they publish, by their own handle.
    published: BTreeMap<u16, String>,
    /// The sids of what they want, also of what they may not have at the moment.
    wanted: BTreeSet<String>,
    /// The sids of what they receive, by the handle they were told.
    received: BTreeMap<u16, String>,
    last_handle: u16,
}

impl DataTracks {
    /// A handle that nothing is received under.
    fn free_handle(&mut self) -> u16 {
        loop {
            self.last_handle = self.last_handle.checked_add(1).unwrap_or(1);
            if !self.received.contains_key(&self.last_handle) {
                return self.last_handle;
            }
        }
    }
}

impl Room {
    /// A client publishes a data track.
    pub(super) fn publish_data_track(&mut self, id: ParticipantId, request: proto::PublishDataTrackRequest) {
        let handle = match self.may_publish_data_track(id, &request) {
            Ok(handle) => handle,
            Err(reason) => return self.respond(id, 0, reason, Some(Request::PublishDataTrack(request))),
        };
        let sid = sid("DTR_", &mut self.random);
        let info = DataTrackInfo {
            pub_handle: handle.into(),
            sid,
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        self.insert_data_track(id, handle, info.clone());
        self.say(id, Say::PublishDataTrackResponse(proto::PublishDataTrackResponse { info: Some(info) }));
        self.announce(id, Echo::No);
    }

    fn may_publish_data_track(
        &self,
        id: ParticipantId,
        request: &proto::PublishDataTrackRequest,
    ) -> Result<u16, Reason> {
        let participant = self.participants.get(&id).ok_or(Reason::NotFound)?;
        if !participant.permission().can_publish_data {
            return Err(Reason::NotAllowed);
        }
        let handle = u16::try_from(request.pub_handle).ok().filter(|handle| *handle != 0);
        let handle = handle.ok_or(Reason::InvalidHandle)?;
        if request.name.is_empty() || request.name.len() > NAME_LEN_MAX {
            return Err(Reason::InvalidName);
        }
        let published = &participant.data_tracks.published;
        if published.contains_key(&handle) {
            return Err(Reason::DuplicateHandle);
        }
        if published
            .values()
            .filter_map(|sid| self.data_tracks.get(sid))
            .any(|track| track.info.name == request.name)
        {
            return Err(Reason::DuplicateName);
        }
        if published.len() >= TRACKS_MAX { Err(Reason::LimitExceeded) } else { Ok(handle) }
    }

    fn insert_data_track(&mut self, id: ParticipantId, handle: u16, info: DataTrackInfo) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let sid = info.sid.clone();
        participant.data_tracks.published.insert(handle, sid.clone());
        self.data_tracks.insert(sid.clone(), DataTrack { owner: id, info, subscribers: BTreeMap::new() });
        let waits = |other: ParticipantId| {
            self.participants.get(&other).is_some_and(|other| other.data_tracks.wanted.contains(&sid))
        };
        let waiting: Vec<_> = self.participant_ids().into_iter().filter(|other| waits(*other)).collect();
        for other in waiting {
            self.reconcile_data_tracks(other);
        }
    }

    /// A client takes a data track back.
    pub(super) fn unpublish_data_track(
        &mut self,
        id: ParticipantId,
        request: proto::UnpublishDataTrackRequest,
    ) {
        let handle = u16::try_from(request.pub_handle).unwrap_or_default();
        let known =
            self.participants.get(&id).and_then(|owner| owner.data_tracks.published.get(&handle).cloned());
        let Some(sid) = known else {
            return self.respond(id, 0, Reason::NotFound, Some(Request::UnpublishDataTrack(request)));
        };
        self.end_data_track(&sid);
        self.announce(id, Echo::No);
    }

    /// A data track ends: its publisher and its subscribers are told.
    fn end_data_track(&mut self, sid: &str) {
        let Some(track) = self.data_tracks.remove(sid) else { return };
        if let Some(owner) = self.participants.get_mut(&track.owner) {
            owner.data_tracks.published.retain(|_, published| published != sid);
            let ended = proto::UnpublishDataTrackResponse { info: Some(track.info) };
            self.say(track.owner, Say::UnpublishDataTrackResponse(ended));
        }
        for subscriber in track.subscribers.into_keys() {
            if let Some(subscriber) = self.participants.get_mut(&subscriber) {
                subscriber.data_tracks.wanted.remove(sid);
            }
            self.reconcile_data_tracks(subscriber);
        }
    }

    /// Whoever leaves, or may not publish data any more, takes their data tracks along.
    pub(super) fn end_data_tracks_of(&mut self, id: ParticipantId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let published: Vec<String> = participant.data_tracks.published.values().cloned().collect();
        for sid in published {
            self.end_data_track(&sid);
        }
    }

    /// Whoever leaves receives nothing more.
    pub(super) fn forget_data_subscriber(&mut self, id: ParticipantId) {
        for track in self.data_tracks.values_mut() {
            track.subscribers.remove(&id);
        }
    }

    /// A client says which data tracks it wants.
    pub(super) fn update_data_subscription(
        &mut self,
        id: ParticipantId,
        update: &proto::UpdateDataSubscription,
    ) {
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let wanted = &mut participant.data_tracks.wanted;
        for change in &update.updates {
            if !change.subscribe {
                wanted.remove(&change.track_sid);
            } else if wanted.len() < WANTED_MAX {
                wanted.insert(change.track_sid.clone());
            }
        }
        self.reconcile_data_tracks(id);
    }

    /// Makes what somebody receives what they want and may have, and tells them the handles when it changed.
    pub(super) fn reconcile_data_tracks(&mut self, id: ParticipantId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let due: BTreeSet<String> = participant
            .data_tracks
            .wanted
            .iter()
            .filter(|sid| self.may_receive_data(id, sid))
            .cloned()
            .collect();
        let Some(participant) = self.participants.get_mut(&id) else { return };
        let tracks = &mut participant.data_tracks;
        let before = tracks.received.len();
        tracks.received.retain(|_, sid| due.contains(sid));
        let mut changed = tracks.received.len() != before;
        for sid in &due {
            if !tracks.received.values().any(|received| received == sid) {
                let handle = tracks.free_handle();
                tracks.received.insert(handle, sid.clone());
                changed = true;
            }
        }
        if !changed {
            return;
        }
        let received = tracks.received.clone();
        for (sid, track) in &mut self.data_tracks {
            match received.iter().find(|(_, received)| *received == sid) {
                Some((handle, _)) => track.subscribers.insert(id, *handle),
                None => track.subscribers.remove(&id),
            };
        }
        self.say_data_handles(id);
    }

    /// Everybody whose rights to somebody's data tracks may have changed.
    pub(super) fn reconcile_data_audience(&mut self) {
        if self.data_tracks.is_empty() {
            return;
        }
        for id in self.participant_ids() {
            self.reconcile_data_tracks(id);
        }
    }

    fn may_receive_data(&self, id: ParticipantId, sid: &str) -> bool {
        let Some(track) = self.data_tracks.get(sid).filter(|track| track.owner != id) else { return false };
        let (Some(owner), Some(subscriber)) =
            (self.participants.get(&track.owner), self.participants.get(&id))
        else {
            return false;
        };
        subscriber.may_subscribe() && !owner.is_hidden() && owner.audience.includes(subscriber, sid)
    }

    fn say_data_handles(&mut self, id: ParticipantId) {
        let Some(participant) = self.participants.get(&id) else { return };
        let handles = participant.data_tracks.received.iter().filter_map(|(handle, sid)| {
            let owner = self.participants.get(&self.data_tracks.get(sid)?.owner)?;
            let published = PublishedDataTrack {
                publisher_identity: owner.identity().to_string(),
                publisher_sid: owner.sid.clone(),
                track_sid: sid.clone(),
            };
            Some((u32::from(*handle), published))
        });
        let sub_handles = handles.collect();
        self.say(id, Say::DataTrackSubscriberHandles(proto::DataTrackSubscriberHandles { sub_handles }));
    }

    /// A packet of a data track goes to all who receive it.
    pub(super) fn forward_data(&mut self, sender: ParticipantId, packet: &Bytes) {
        let Some(published) = packet.get(..HEADER_LEN).and_then(handle_of) else { return };
        let Some(owner) = self.participants.get(&sender) else { return };
        let Some(track) =
            owner.data_tracks.published.get(&published).and_then(|sid| self.data_tracks.get(sid))
        else {
            return;
        };
        let subscribers: Vec<_> = track.subscribers.iter().map(|(id, handle)| (*id, *handle)).collect();
        for (id, handle) in subscribers {
            let Some(subscriber) =
                self.participants.get(&id).filter(|subscriber| subscriber.state == State::Active)
            else {
                continue;
            };
            let Some(transport) = subscriber.link.data_transport() else { continue };
            self.media(Command::Send(transport, Channel::DataTrack, under(handle, packet)));
        }
    }

    /// What a client that comes back published before; what it receives it is told anew.
    pub(super) fn sync_data_tracks(
        &mut self,
        id: ParticipantId,
        published: Vec<proto::PublishDataTrackResponse>,
    ) {
        for info in published.into_iter().filter_map(|published| published.info) {
            let request = proto::PublishDataTrackRequest {
                pub_handle: info.pub_handle,
                name: info.name,
                encryption: info.encryption,
                frame_encoding: info.frame_encoding,
                schema: info.schema,
            };
            // Those that are still there are refused as duplicates, which is what they are.
            if self.may_publish_data_track(id, &request).is_ok() {
                self.publish_data_track(id, request);
            }
        }
        if self.participants.get(&id).is_some_and(|participant| !participant.data_tracks.received.is_empty())
        {
            self.say_data_handles(id);
        }
    }

    /// The data tracks of somebody, for others.
    pub(super) fn data_infos(&self, id: ParticipantId) -> Vec<DataTrackInfo> {
        let Some(participant) = self.participants.get(&id) else { return Vec::new() };
        let tracks = participant.data_tracks.published.values().filter_map(|sid| self.data_tracks.get(sid));
        tracks.map(|track| track.info.clone()).collect()
    }
}

fn handle_of(header: &[u8]) -> Option<u16> {
    header.get(HANDLE_AT)?.try_into().ok().map(u16::from_be_bytes)
}

/// The same packet under another handle.
fn under(handle: u16, packet: &Bytes) -> Bytes {
    let mut written = BytesMut::from(packet.as_ref());
    if let Some(at) = written.get_mut(HANDLE_AT) {
        at.copy_from_slice(&handle.to_be_bytes());
    }
    written.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_handle_is_rewritten() {
        let packet = Bytes::from_static(&[0x10, 0, 0, 7, 0, 1, 0, 2, 0, 0, 0, 9, b'x']);

        assert_eq!(handle_of(&packet), Some(7));
        assert_eq!(under(0x0102, &packet).as_ref(), &[0x10, 0, 1, 2, 0, 1, 0, 2, 0, 0, 0, 9, b'x']);
    }

    #[test]
    fn handles_are_never_zero_and_never_taken_twice() {
        let mut tracks = DataTracks { last_handle: u16::MAX, ..Default::default() };
        tracks.received.insert(1, "DTR_a".into());

        assert_eq!(tracks.free_handle(), 2);
    }
}
