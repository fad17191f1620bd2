//! The steps of a packet's way, one by one: read, opened, stored, written, sealed, sent, received; and the feedback that
//! comes back for it.
//!
//! `cargo bench -p bench --bench steps`. What forwarding adds between them is in `forward`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod meter;

use std::{
    hint::black_box,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use meter::{cpu_time, median, nanos};
use sfu::{
    codec::vp8::{Descriptor, Part},
    io::testing::{Message, Port},
    params::{Encoding, MediaKind, Secret, SrtpProfile},
    rtcp::{self, CompoundWriter, Packet, twcc},
    rtp::{Fields, Form, Header, HeaderWriter},
    srtp::{KeyingMaterial, ReplayWindow, Srtp},
    units::Ssrc,
    worker::{
        WorkerConfig,
        testing::{Outbox, Scene, VP8, fields, picture},
    },
};

const SSRC: u32 = 0x1111_1111;
const VIDEO: usize = 1_176;
const AUDIO: usize = 96;
/// Slices of a run; one more before them warms up.
const SLICES: usize = 15;
/// Things done in one slice: some milliseconds.
const COUNT: u64 = 20_000;
/// Packets that one feedback message tells of, as a busy subscriber's does.
const TOLD: u64 = 100;

fn main() -> io::Result<()> {
    tell("read an RTP header with three extensions", parse());
    tell("read a VP8 descriptor", descriptor());
    tell("write an RTP header with three extensions", write());
    for (name, profile) in [
        ("AES-128-GCM", SrtpProfile::AeadAes128Gcm),
        ("AES-256-GCM", SrtpProfile::AeadAes256Gcm),
        ("AES-128-CM-SHA1-80", SrtpProfile::Aes128CmSha1_80),
    ] {
        for len in [VIDEO, AUDIO] {
            tell(&format!("protect {len} B with {name}"), protect(profile, len));
            tell(&format!("unprotect {len} B with {name}"), unprotect(profile, len));
        }
    }
    tell("take in a video packet that nobody watches, 5 at a time", take_in());
    tell(&format!("read a feedback message about {TOLD} packets"), feedback());
    for (name, batch) in [("alone", 1), ("5 in a message", 5), ("10 in a message", 10)] {
        tell(&format!("send 1200 B, {name}, to a socket of this machine"), send(batch)?);
        tell(&format!("receive 1200 B, {name}"), receive(batch)?);
    }
    Ok(())
}

/// Nanoseconds for one of the things that `slice` tells it did.
fn measure(mut slice: impl FnMut() -> u64) -> u64 {
    slice();
    let mut slices: Vec<u64> = (0..SLICES)
        .map(|_| {
            let start = cpu_time();
            let done = slice();
            nanos(cpu_time().saturating_sub(start)) / done.max(1)
        })
        .collect();
    median(&mut slices)
}

fn tell(name: &str, nanos: u64) {
    println!("{name:60} {nanos:6} ns");
}

fn header(index: u64, out: &mut [u8]) -> usize {
    let fields = Fields { marker: false, ..fields(VP8, SSRC, index, 0) };
    let writer = HeaderWriter::new(out, &fields, Form::OneByte);
    let Ok(mut writer) = writer else { return 0 };
    let _ = writer.extension(3, &[1, 2]);
    let _ = writer.extension(4, b"1");
    let _ = writer.extension(6, &[1, 2, 3]);
    writer.finish()
}

fn parse() -> u64 {
    let mut packet = [7; 1_200];
    header(1, &mut packet);
    measure(|| {
        for _ in 0..COUNT {
            let header = Header::parse(black_box(&packet));
            let _ = black_box(header.map(|header| (header.ssrc, header.extension(3), header.payload_offset)));
        }
        COUNT
    })
}

fn descriptor() -> u64 {
    let payload = picture(Part::KeyframeStart, 1, VIDEO);
    measure(|| {
        for _ in 0..COUNT {
            let _ = black_box(Descriptor::parse(black_box(&payload)));
        }
        COUNT
    })
}

fn write() -> u64 {
    let mut out = [0; 64];
    measure(|| {
        for index in 0..COUNT {
            black_box(header(index, black_box(&mut out)));
        }
        COUNT
    })
}

fn keys(profile: SrtpProfile) -> KeyingMaterial {
    KeyingMaterial { profile, bytes: Secret(vec![7; KeyingMaterial::len(profile)]) }
}

fn protect(profile: SrtpProfile, len: usize) -> u64 {
    let Ok(mut srtp) = Srtp::client(&keys(profile)) else { return 0 };
    let (payload, mut out) = (vec![7; len], vec![0; 1 << 18]);
    let mut index = 0;
    measure(|| {
        for _ in 0..COUNT {
            let mut head = [0; 64];
            let head_len = header(index, &mut head);
            // As in an arena, each packet goes to memory that was not just written.
            let at = usize::try_from(index % 200).unwrap_or(0) * 1_300;
            let room = out.get_mut(at..).unwrap_or_default();
            let head = head.get(..head_len).unwrap_or_default();
            assert!(srtp.outbound.seal_rtp(head, &payload, 0, index, room).is_ok(), "sealed");
            index += 1;
        }
        COUNT
    })
}

fn unprotect(profile: SrtpProfile, len: usize) -> u64 {
    let keys = keys(profile);
    let (Ok(mut client), Ok(mut server)) = (Srtp::client(&keys), Srtp::server(&keys)) else { return 0 };
    let payload = vec![7; len];
    let mut slices = Vec::new();
    let (mut window, mut plain, mut index) = (ReplayWindow::default(), vec![0; 2_048], 0);
    for _ in 0..SLICES {
        let packets: Vec<Vec<u8>> = (0..COUNT)
            .map(|_| {
                let (mut head, mut out) = ([0; 64], vec![0; 1_300]);
                let head_len = header(index, &mut head);
                let head = head.get(..head_len).unwrap_or_default();
                let len = client.outbound.seal_rtp(head, &payload, 0, index, &mut out).unwrap_or(0);
                out.truncate(len);
                index += 1;
                out
            })
            .collect();
        let start = cpu_time();
        for packet in &packets {
            let Ok(header) = Header::parse(packet) else { continue };
            let opened = server.inbound.open_rtp(&mut window, &header, packet, &mut plain);
            assert!(opened.is_ok(), "opened");
        }
        slices.push(nanos(cpu_time().saturating_sub(start)) / COUNT);
    }
    median(&mut slices)
}

/// Found, opened, read, stored, reported: what a packet costs before anybody wants it.
fn take_in() -> u64 {
    let mut scene = Scene::new(WorkerConfig::default(), Instant::now());
    let room = scene.open_room();
    let publisher = scene.join(room);
    let encoding = Encoding { rid: None, ssrc: Some(Ssrc(SSRC)), rtx_ssrc: None };
    scene.publish(publisher, MediaKind::Video, vec![encoding]);
    scene.pass(Duration::from_millis(100));
    let Some(from) = scene.members.get(publisher).map(|member| member.client.address()) else { return 0 };
    let (mut slices, mut index, mut outbox) = (Vec::new(), 0, Outbox::default());
    for _ in 0..SLICES {
        let datagrams: Vec<Vec<u8>> = (0..COUNT)
            .map(|_| {
                let part = if index == 0 { Part::KeyframeStart } else { Part::Rest };
                let datagram =
                    scene.seal(publisher, &fields(VP8, SSRC, index, 0), index, &picture(part, 1, VIDEO));
                index += 1;
                datagram
            })
            .collect();
        let start = cpu_time();
        for picture in datagrams.chunks(5) {
            scene.now += Duration::from_millis(33);
            for datagram in picture {
                scene.worker.receive(from, datagram, scene.now);
            }
            scene.worker.flush(&mut outbox, scene.now);
            while scene.worker.poll_event().is_some() {}
            outbox.written.clear();
        }
        slices.push(nanos(cpu_time().saturating_sub(start)) / COUNT);
    }
    let taken = scene.worker.counters().packets_in;
    assert!(taken >= COUNT * SLICES as u64, "{taken} taken in: {:?}", scene.worker.counters());
    median(&mut slices)
}

fn feedback() -> u64 {
    let arrivals: Vec<twcc::Arrival> = (0..TOLD)
        .map(|seq| twcc::Arrival { seq: 70_000 + seq, at: Duration::from_micros(seq * 700) })
        .collect();
    let mut out = [0; 1_200];
    let mut writer = CompoundWriter::new(&mut out);
    let message = twcc::Message { sender: Ssrc(1), media: Ssrc(2), message: 0, base: 70_000 };
    assert!(writer.transport_cc(&message, &arrivals).is_ok(), "written");
    let len = writer.len();
    let compound = out.get(..len).unwrap_or_default();
    measure(|| {
        for _ in 0..COUNT / 10 {
            for packet in rtcp::parse(black_box(compound)) {
                if let Ok(Packet::TransportCc(feedback)) = packet {
                    black_box(feedback.statuses().filter(|(_, delta)| delta.is_some()).count());
                }
            }
        }
        COUNT / 10
    })
}

fn pair() -> io::Result<(Port, Port, SocketAddr)> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (from, to) = (Port::bind(here, 1 << 22)?, Port::bind(here, 1 << 22)?);
    let address = to.local_addr()?;
    Ok((from, to, address))
}

/// Messages that fit a receive buffer of the usual 208 KiB, whatever the kernel adds to each.
const MESSAGES: usize = 8;

fn messages(bytes: &[u8], to: SocketAddr, batch: usize) -> Vec<Message<'_>> {
    let segment = u16::try_from(bytes.len() / batch).ok().filter(|_| batch > 1);
    (0..MESSAGES).map(|_| Message { to, bytes, segment }).collect()
}

fn send(batch: usize) -> io::Result<u64> {
    let (from, to, address) = pair()?;
    let (bytes, mut tray) = (vec![7; 1_200 * batch], to.tray());
    let messages = messages(&bytes, address, batch);
    let mut slices = Vec::new();
    for _ in 0..SLICES {
        let (mut spent, mut sent) = (Duration::ZERO, 0);
        for _ in 0..200 {
            let start = cpu_time();
            sent += from.send(&messages).0 * batch;
            spent += cpu_time().saturating_sub(start);
            while to.receive(&mut tray) > 0 {}
        }
        slices.push(nanos(spent) / (sent as u64).max(1));
    }
    Ok(median(&mut slices))
}

fn receive(batch: usize) -> io::Result<u64> {
    let (from, to, address) = pair()?;
    let (bytes, mut tray) = (vec![7; 1_200 * batch], to.tray());
    let messages = messages(&bytes, address, batch);
    let mut slices = Vec::new();
    for _ in 0..SLICES {
        let (mut spent, mut received) = (Duration::ZERO, 0);
        for _ in 0..200 {
            from.send(&messages);
            let start = cpu_time();
            while to.receive(&mut tray) > 0 {
                received += tray.datagrams().count();
            }
            spent += cpu_time().saturating_sub(start);
        }
        slices.push(nanos(spent) / (received as u64).max(1));
    }
    Ok(median(&mut slices))
}
