//! A room through the worker's own door: Ann publishes video to Bob, and says whatever the input says: packets nobody
//! sealed, packets she sealed, and time that passes. Strangers and Bob speak too.
//!
//! A room is kept for some inputs, because its handshakes take longer than they do. An input that fails after others
//! may need them again.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use sfu::{
    params::{Encoding, MediaKind, Protocol, Remote},
    rtcp::CompoundWriter,
    rtp::Header,
    units::{SeqNo, Ssrc},
    worker::{
        WorkerConfig,
        testing::{Scene, same, vp8},
    },
};

/// As the seeds have them.
const VIDEO: Ssrc = Ssrc(0x0000_1111);
const RTX: Ssrc = Ssrc(0x0000_2222);
/// Inputs for one room. Higher: faster. Lower: an input that fails fails alone.
const INPUTS_MAX: u32 = 256;

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

pub fn run(data: &[u8]) {
    // Taken out, so that whoever falls leaves nothing behind.
    let mut stage = STAGE.take().filter(|stage| stage.inputs < INPUTS_MAX).unwrap_or_else(Stage::new);
    stage.perform(data);
    STAGE.set(Some(stage));
}

struct Stage {
    scene: Scene,
    ann: usize,
    bob: usize,
    sent: BTreeMap<Ssrc, u64>,
    inputs: u32,
}

impl Stage {
    fn new() -> Self {
        let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
        let room = scene.open_room();
        let (ann, bob) = (scene.join(room), scene.join(room));
        let encoding = Encoding { ssrc: Some(VIDEO), rtx_ssrc: Some(RTX), ..Encoding::default() };
        let track = scene.publish(ann, MediaKind::Video, vec![encoding]);
        scene.subscribe(bob, track, vec![same(vp8())]);
        scene.pass(Duration::from_millis(200));
        Self { scene, ann, bob, sent: BTreeMap::new(), inputs: 0 }
    }

    /// Each step has a byte of what to do and one of length.
    fn perform(&mut self, data: &[u8]) {
        self.inputs += 1;
        let mut steps = data;
        while let Some(([what, len], rest)) = steps.split_first_chunk() {
            let (bytes, rest) = rest.split_at(usize::from(*len).min(rest.len()));
            steps = rest;
            match what % 8 {
                0 => self.stranger(bytes),
                1 => self.scene.send(self.ann, bytes),
                2 => self.say(self.bob, bytes),
                3 => self.say(self.ann, bytes),
                4 => self.scene.pass(Duration::from_millis(bytes.first().copied().unwrap_or(0).into())),
                5 => self.miss(bytes),
                _ => self.send_sealed(bytes),
            }
        }
        self.scene.pass(Duration::from_millis(20));

        let counters = self.scene.worker.counters();
        assert_eq!((counters.rooms_lost, counters.unsealed), (0, 0));
        for member in &mut self.scene.members {
            member.media.clear();
            member.control.clear();
        }
        self.scene.events.clear();
    }

    fn stranger(&mut self, bytes: &[u8]) {
        let from = Remote { protocol: Protocol::Udp, addr: SocketAddr::from(([198, 51, 100, 9], 9)) };
        self.scene.worker.receive(from, bytes, self.scene.now);
    }

    fn say(&mut self, member: usize, compound: &[u8]) {
        if compound.len() < 8 {
            return;
        }
        let datagram = self.scene.seal_control(member, compound);
        self.scene.send(member, &datagram);
    }

    /// Bob asks for packets he got, each byte back from the last; or for a key frame.
    fn miss(&mut self, back: &[u8]) {
        let Some(last) = self.scene.members.get(self.bob).and_then(|bob| bob.media.last()) else { return };
        let (ssrc, seq) = (last.fields.ssrc, last.fields.seq);
        let missing = back.iter().map(|back| SeqNo(seq.0.wrapping_sub(u16::from(*back))));
        let mut out = [0; 2_048];
        let mut writer = CompoundWriter::new(&mut out);
        if writer.nack(Ssrc(1), ssrc, missing).or_else(|_| writer.pli(Ssrc(1), ssrc)).is_err() {
            return;
        }
        let len = writer.len();
        self.say(self.bob, out.get(..len).unwrap_or_default());
    }

    /// The bytes are a packet, but its sequence number is how far it is from the newest of its source.
    fn send_sealed(&mut self, packet: &[u8]) {
        let Ok(header) = Header::parse(packet) else { return };
        let Some((head, payload)) = packet.split_at_checked(header.payload_offset) else { return };
        let last = self.sent.get(&header.ssrc).copied().unwrap_or(1 << 10);
        let index = last.saturating_add_signed(i64::from(header.seq.0.cast_signed()));
        let mut head = head.to_vec();
        if let Some(seq) = head.get_mut(2..4) {
            seq.copy_from_slice(&((index & 0xffff) as u16).to_be_bytes());
        }
        let Some(srtp) = self.scene.members.get_mut(self.ann).and_then(|ann| ann.client.srtp()) else {
            return;
        };
        let mut out = [0; 512];
        let Ok(len) = srtp.outbound.seal_rtp(&head, payload, 0, index, &mut out) else { return };
        self.sent.insert(header.ssrc, index.max(last));
        self.scene.send(self.ann, out.get(..len).unwrap_or_default());
    }
}
