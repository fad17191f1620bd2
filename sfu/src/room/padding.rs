//! Padding that finds out whether a path carries more: packets without payload on an SSRC of retransmissions.
//!
//! Invariant: padding never takes a number that media or a retransmission has: it has the next one of its SSRC.

use super::{Room, context::Context, subscription::Subscription, track::Track};
use crate::{
    params::{Extension, MediaKind},
    rtp::{AbsSendTime, Fields, Form, HeaderWriter},
    srtp::OVERHEAD_MAX,
    units::{PayloadType, RtpTime, SeqNo, Ssrc},
    worker::Egress,
};

/// RFC 3550 §5.1: the last byte of padding counts it.
const PADDING_LEN: u8 = 255;
/// Fixed header and the extensions: a name, a send time, a number.
const HEADER_MAX: usize = 64;

/// What padding is sent under.
struct Disguise {
    ssrc: Ssrc,
    payload_type: PayloadType,
    timestamp: RtpTime,
}

impl Room {
    /// Sends the padding that is due to this client.
    pub(super) fn pad(&mut self, key: usize, egress: &mut impl Egress, cx: &mut Context<'_>) {
        let Self { peers, tracks, subscriptions, .. } = self;
        let Some(peer) = peers.get_mut(key) else { return };
        let due = peer.down.congestion.tick(cx.now);
        if due == 0 {
            return;
        }
        let found = peer.subscriptions.iter().find_map(|key| {
            let subscription = subscriptions.get(*key)?;
            let disguise = subscription.disguise(tracks.get(subscription.track)?)?;
            Some((*key, disguise))
        });
        let Some((subscription, disguise)) = found else { return peer.down.congestion.cannot_pad(cx.now) };
        let Some(subscription) = subscriptions.get_mut(subscription) else { return };
        let (Some(to), Some(srtp)) = (peer.transport.remote(), peer.transport.srtp()) else { return };
        let congestion = &mut peer.down.congestion;
        let clock = congestion.clock(cx.now);
        let sent_at = AbsSendTime::from_duration(cx.wall.since_start(cx.now));
        let mut sent = 0;
        while sent < due {
            let index = subscription.repair_next;
            let mut header = [0; HEADER_MAX];
            let len = write_header(&mut header, subscription, &disguise, (sent_at, congestion.next()));
            let header = header.get(..len).unwrap_or_default();
            let out = egress.begin(to, len + usize::from(PADDING_LEN) + OVERHEAD_MAX);
            let Ok(len) = srtp.outbound.seal_rtp(header, &[], PADDING_LEN, index, out) else {
                cx.counters.unsealed += 1;
                return;
            };
            egress.commit(len);
            subscription.repair_next += 1;
            congestion.sent(len, clock);
            cx.counters.packets_padding += 1;
            cx.counters.datagrams_out += 1;
            cx.counters.bytes_out += len as u64;
            sent += len;
        }
    }
}

impl Subscription {
    /// How padding can be sent in its name, if it can.
    fn disguise(&self, track: &Track) -> Option<Disguise> {
        if track.parameters.kind == MediaKind::Audio || !self.is_numbered() {
            return None;
        }
        let payload_type = self.send.formats.iter().find_map(|format| format.to.rtx)?;
        let timestamp = self.rewriter.last().map_or(RtpTime(0), |last| last.timestamp);
        Some(Disguise { ssrc: self.send.rtx_ssrc?, payload_type, timestamp })
    }
}

fn write_header(
    out: &mut [u8],
    subscription: &Subscription,
    disguise: &Disguise,
    stamps: (AbsSendTime, SeqNo),
) -> usize {
    let (sent_at, number) = stamps;
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what the wire carries")]
    let seq = SeqNo(subscription.repair_next as u16);
    let fields = Fields {
        marker: false,
        payload_type: disguise.payload_type,
        seq,
        timestamp: disguise.timestamp,
        ssrc: disguise.ssrc,
    };
    let Ok(mut writer) = HeaderWriter::new(out, &fields, Form::OneByte) else { return 0 };
    let ids = &subscription.send.extensions;
    if let Some(id) = ids.id(Extension::Mid) {
        let _ = writer.extension(id, subscription.send.mid.as_bytes());
    }
    if let Some(id) = ids.id(Extension::AbsSendTime) {
        let _ = writer.extension(id, &sent_at.to_bytes());
    }
    if let Some(id) = ids.id(Extension::TransportCc) {
        let _ = writer.extension(id, &number.0.to_be_bytes());
    }
    writer.finish()
}
