//! RTCP in: what a client says of what it sends and of what it gets.
//!
//! Invariant: a client speaks only of its own streams: SSRCs are looked up among those of its transport.

use std::time::Duration;

use super::{
    Room,
    context::Context,
    streams::{Binding, Role},
    track::Flow,
};
use crate::{
    event::EventKind,
    forward::wall::SenderClock,
    params::MediaKind,
    rtcp::{self, NtpTime, Packet, ReportBlock, SenderInfo},
    srtp::SrtpError,
    units::{SeqNo, Ssrc},
    worker::DropReason,
};

/// No RTCP datagram is larger: they are not fragmented.
const COMPOUND_MAX: usize = 1_500;
/// Packets one client may ask for between two flushes.
const RESEND_MAX: usize = 256;
/// A longer round trip is a mistake.
const RTT_MAX: Duration = Duration::from_secs(10);

impl Room {
    /// An RTCP packet came from this peer.
    pub(crate) fn receive_rtcp(
        &mut self,
        key: usize,
        datagram: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get_mut(key).ok_or(DropReason::UnknownRemote)?;
        let srtp = peer.transport.srtp().ok_or(DropReason::NotConnected)?;
        if !peer.is_touched {
            peer.is_touched = true;
            self.touched.push(key);
        }
        let mut plain = [0; COMPOUND_MAX];
        let len = srtp.inbound.open_rtcp(datagram, &mut plain).map_err(|error| match error {
            SrtpError::Malformed | SrtpError::NotEncrypted | SrtpError::Full(_) => DropReason::RtcpMalformed,
            SrtpError::NotAuthentic
            | SrtpError::Replayed(..)
            | SrtpError::Old(_)
            | SrtpError::Keying(_)
            | SrtpError::SealedBefore(..)
            | SrtpError::KeyUsedUp
            | SrtpError::TooManySources => DropReason::RtcpForged,
        })?;
        for packet in rtcp::parse(plain.get(..len).unwrap_or_default()) {
            let packet = packet.map_err(|_| DropReason::RtcpMalformed)?;
            self.hear(key, &packet, cx);
        }
        Ok(())
    }

    fn hear(&mut self, key: usize, packet: &Packet<'_>, cx: &mut Context<'_>) {
        match packet {
            Packet::SenderReport { sender, info, blocks } => {
                self.sender_report(key, *sender, info, cx);
                blocks.for_each(|block| self.report_block(key, &block, cx));
            }
            Packet::ReceiverReport { blocks, .. } => {
                blocks.for_each(|block| self.report_block(key, &block, cx));
            }
            Packet::Goodbye { sources } => {
                sources.for_each(|source| self.goodbye(key, source, cx));
            }
            Packet::Nack { media, missing, .. } => self.nack(key, *media, *missing, cx),
            Packet::Pli { media, .. } => self.wants_keyframe(key, *media, cx),
            Packet::Fir { entries, .. } => {
                entries.for_each(|entry| self.wants_keyframe(key, entry.ssrc, cx));
            }
            Packet::Remb { bitrate, .. } => {
                let Some(peer) = self.peers.get_mut(key) else { return };
                peer.down.congestion.remb(*bitrate);
                peer.down.sharing.estimated(peer.down.congestion.estimate(), cx.now);
            }
            Packet::TransportCc(feedback) => {
                let Some(peer) = self.peers.get_mut(key) else { return };
                peer.down.congestion.feedback(feedback, cx.now);
                peer.down.sharing.estimated(peer.down.congestion.estimate(), cx.now);
            }
            Packet::Other(_) => {}
        }
    }

    /// What a publisher says of the clock of one of its streams.
    fn sender_report(&mut self, key: usize, sender: Ssrc, info: &SenderInfo, cx: &Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(Binding::To(bound)) = peer.up.streams.get(sender).map(|stream| stream.binding) else {
            return;
        };
        if bound.role == Role::Repair || info.ntp == NtpTime(0) {
            return;
        }
        peer.up.reports = true;
        let Some(layer) = self.layer_mut(bound.track, bound.layer) else { return };
        layer.clock = Some(SenderClock { ntp: info.ntp, timestamp: info.rtp, heard: cx.now });
    }

    /// What a subscriber says of one of the streams it gets.
    fn report_block(&mut self, key: usize, block: &ReportBlock, cx: &Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(subscription) = peer.down.by_ssrc.get(&block.ssrc) else { return };
        let Some(subscription) = self.subscriptions.get_mut(*subscription) else { return };
        if let Some(rtt) = subscription.hear(block, cx.now).filter(|rtt| *rtt < RTT_MAX) {
            peer.measured(rtt);
        }
    }

    /// A publisher ends one of its streams; more packets of it would begin it anew.
    fn goodbye(&mut self, key: usize, source: Ssrc, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get(key) else { return };
        let Some(Binding::To(bound)) = peer.up.streams.get(source).map(|stream| stream.binding) else {
            return;
        };
        let Some(track) = self.tracks.get_mut(bound.track) else { return };
        let Some(layer) = track.layers.get_mut(usize::from(bound.layer)) else { return };
        if bound.role == Role::Primary && layer.flow != Flow::Silent {
            layer.flow = Flow::Silent;
            layer.nacks.clear();
            cx.tell(EventKind::LayerStopped(track.id, bound.layer));
        }
    }

    /// A subscriber misses packets.
    fn nack(&mut self, key: usize, media: Ssrc, missing: impl Iterator<Item = SeqNo>, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(subscription) = peer.down.by_ssrc.get(&media).copied() else { return };
        for seq in missing {
            cx.counters.nacks_in += 1;
            if peer.down.resend.len() < RESEND_MAX {
                peer.down.resend.push((subscription, seq));
            }
        }
    }

    /// A subscriber's decoder is stuck.
    fn wants_keyframe(&mut self, key: usize, media: Ssrc, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.get(key) else { return };
        let Some(subscription) = peer.down.by_ssrc.get(&media) else { return };
        let Some(subscription) = self.subscriptions.get(*subscription) else { return };
        cx.counters.keyframe_requests_in += 1;
        let Some(track) = self.tracks.get_mut(subscription.track) else { return };
        let Some(layer) = subscription.stuck_layer(track) else { return };
        if let Some(layer) = track.layers.get_mut(usize::from(layer)) {
            layer.keyframes.want();
        }
        let publisher = track.peer;
        self.touch(publisher);
    }

    /// The control plane wants key frames of a track.
    pub(crate) fn request_keyframe(&mut self, key: usize) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.parameters.kind == MediaKind::Audio {
            return;
        }
        track
            .layers
            .iter_mut()
            .filter(|layer| layer.flow != Flow::Silent)
            .for_each(|layer| layer.keyframes.want());
        let publisher = track.peer;
        self.touch(publisher);
    }
}
