//! RTCP of a peer connection: what it tells the server, and what the server asks of it.

use std::time::Instant;

use sfu::{
    rtcp::{self, CompoundWriter, NtpTime, Packet, ReportBlock, SenderInfo},
    units::{RtpTime, Ssrc},
};

use super::{
    feedback::{OWN, receiver_reports},
    incoming::{Gaze, IMPATIENCE, Incoming},
    peer::{Context, Peer, REPORTS, since_epoch},
};
use crate::scenario::Kind;

/// Room for one compound packet: below the usual path's 1,280 bytes.
const COMPOUND_MAX: usize = 1_200;

impl Peer {
    /// Feedback that is due, once a second with reports.
    pub(super) fn tell(&mut self, cx: &mut Context, now: Instant) {
        if self.next_reports <= now {
            self.next_reports = now + REPORTS;
            self.report(cx, now);
        }
        self.ask(cx, now);
        self.ask_again(cx);
        let media = self.streams.keys().next().copied().unwrap_or(OWN);
        while !self.arrivals.is_empty() {
            let mut out = [0; COMPOUND_MAX];
            let mut writer = CompoundWriter::new(&mut out);
            if self.arrivals.write(&mut writer, media).is_err() {
                self.arrivals.clear();
                return;
            }
            let len = writer.len();
            cx.figures.counters.feedback_out += 1;
            self.seal(out.get(..len).unwrap_or_default(), cx);
        }
    }

    /// Sender reports for what is sent, receiver reports for what comes.
    fn report(&mut self, cx: &mut Context, now: Instant) {
        let mut out = [0; COMPOUND_MAX];
        let reports: Vec<(Ssrc, SenderInfo)> = self
            .outgoing
            .iter()
            .filter_map(|outgoing| {
                let (sent, timestamp) = outgoing.sent?;
                let clock = if outgoing.kind() == Kind::Audio { 48_000 } else { 90_000 };
                let since = now.saturating_duration_since(sent).as_micros() * clock / 1_000_000;
                let since = u32::try_from(since).unwrap_or(0);
                let info = SenderInfo {
                    ntp: NtpTime::from_unix(since_epoch()),
                    rtp: RtpTime(timestamp.wrapping_add(since)),
                    packets: outgoing.packets,
                    octets: outgoing.octets,
                };
                Some((outgoing.sending.ssrc, info))
            })
            .collect();
        for (ssrc, info) in reports {
            let mut writer = CompoundWriter::new(&mut out);
            let written = writer
                .sender_report(ssrc, &info, &[])
                .and_then(|()| writer.source_description(ssrc, b"bench"));
            let len = writer.len();
            if written.is_ok() {
                self.seal(out.get(..len).unwrap_or_default(), cx);
            }
        }
        let blocks: Vec<ReportBlock> =
            self.streams.iter_mut().map(|(ssrc, stream)| stream.block(*ssrc, now)).collect();
        for blocks in blocks.chunks(super::feedback::BLOCKS_MAX) {
            let mut writer = CompoundWriter::new(&mut out);
            let written = receiver_reports(&mut writer, blocks);
            let len = writer.len();
            if written.is_ok() {
                self.seal(out.get(..len).unwrap_or_default(), cx);
            }
        }
    }

    /// Streams that cannot be shown yet ask for a key frame.
    fn ask(&mut self, cx: &mut Context, now: Instant) {
        let mut stuck = Vec::new();
        for (ssrc, gaze) in self.seekers() {
            let Gaze::Seeking { since, asked } = gaze else { continue };
            if now.saturating_duration_since(asked.unwrap_or(*since)) >= IMPATIENCE {
                *asked = Some(now);
                stuck.push(ssrc);
            }
        }
        for ssrc in stuck {
            let mut out = [0; 32];
            let mut writer = CompoundWriter::new(&mut out);
            if writer.pli(OWN, ssrc).is_ok() {
                let len = writer.len();
                cx.figures.counters.keyframes_wanted += 1;
                self.seal(out.get(..len).unwrap_or_default(), cx);
            }
        }
    }

    /// Packets that did not come are asked for (RFC 4585 §6.2.1).
    fn ask_again(&mut self, cx: &mut Context) {
        let missing = |(ssrc, stream): (&Ssrc, &mut Incoming)| {
            let seqs = if stream.is_whole() { Vec::new() } else { stream.nack() };
            (!seqs.is_empty()).then_some((*ssrc, seqs))
        };
        let missing: Vec<_> = self.streams.iter_mut().filter_map(missing).collect();
        for (ssrc, seqs) in missing {
            let mut out = [0; COMPOUND_MAX];
            let mut writer = CompoundWriter::new(&mut out);
            cx.figures.counters.missed += seqs.len() as u64;
            if writer.nack(OWN, ssrc, seqs).is_ok() {
                let len = writer.len();
                self.seal(out.get(..len).unwrap_or_default(), cx);
            }
        }
    }

    fn seal(&mut self, compound: &[u8], cx: &mut Context) {
        let mut out = [0; COMPOUND_MAX + 64];
        let Some(srtp) = &mut self.srtp else { return };
        if let Ok(len) = srtp.outbound.seal_rtcp(compound, &mut out) {
            self.send(out.get(..len).unwrap_or_default(), cx);
        }
    }

    pub(super) fn handle_rtcp(&mut self, datagram: &[u8], cx: &mut Context, now: Instant) {
        let Some(srtp) = &mut self.srtp else { return };
        let Ok(len) = srtp.inbound.open_rtcp(datagram, &mut cx.plain) else {
            cx.figures.counters.broken += 1;
            return;
        };
        let counters = &mut cx.figures.counters;
        for packet in rtcp::parse(cx.plain.get(..len).unwrap_or_default()).map_while(Result::ok) {
            match packet {
                Packet::Pli { media, .. } => {
                    counters.keyframes_asked += 1;
                    self.outgoing.iter_mut().filter(|out| out.sending.ssrc == media).for_each(|out| {
                        out.sending.feed.ask_keyframe();
                    });
                }
                Packet::Fir { entries, .. } => {
                    for entry in entries {
                        counters.keyframes_asked += 1;
                        self.outgoing.iter_mut().filter(|out| out.sending.ssrc == entry.ssrc).for_each(
                            |out| {
                                out.sending.feed.ask_keyframe();
                            },
                        );
                    }
                }
                Packet::Nack { missing, .. } => counters.nacked += missing.count() as u64,
                Packet::TransportCc(_) => counters.feedback_in += 1,
                Packet::SenderReport { sender, info, .. } => {
                    if let Some(stream) = self.streams.get_mut(&sender) {
                        stream.sender_report = Some((info.ntp.middle(), now));
                    }
                }
                Packet::ReceiverReport { .. }
                | Packet::Goodbye { .. }
                | Packet::Remb { .. }
                | Packet::Other(_) => {}
            }
        }
    }
}
