//! What nobody should send: replays, forgeries, floods and garbage, through the door that is open to all.

use std::{net::SocketAddr, time::Duration};

use harness::{media::Camera, network::Conditions, random::Random, world::World};
use sfu::worker::{DropReason, Drops};

use crate::calls::Call;

#[test]
fn every_packet_five_times_is_forwarded_once() {
    let mut call = Call::new(1);
    call.world.run_for(Duration::from_secs(1));
    let mut random = Random::new(1);
    let before = call.world.worker.counters().dropped;

    let mut replayed = 0;
    for _ in 0..40 {
        call.world.tapped = Some(Vec::new());
        call.world.run_for(Duration::from_millis(50));
        let heard = call.world.tapped.take().unwrap();
        let media = heard.into_iter().filter(|(_, bytes)| bytes[0] >= 128);
        let mut copies: Vec<_> = media.flat_map(|copy| std::iter::repeat_n(copy, 4)).collect();
        for index in (1..copies.len()).rev() {
            copies.swap(index, usize::try_from(random.below(index as u64 + 1)).unwrap());
        }
        replayed += copies.len() as u64;
        for (from, bytes) in copies {
            call.world.inject(from.addr, &bytes);
        }
    }
    call.world.run_for(Duration::from_secs(1));

    for subscription in [call.picture, call.sound] {
        let sink = call.world.sink(call.bob, subscription);
        assert_eq!((sink.missing().len(), sink.duplicates(), sink.broken()), (0, 0, 0));
    }
    let dropped = call.world.worker.counters().dropped;
    let refused = since(&before, &dropped, DropReason::RtpReplayed)
        + since(&before, &dropped, DropReason::RtcpForged)
        + since(&before, &dropped, DropReason::Flood);
    assert_eq!(refused, replayed);
}

#[test]
fn garbage_of_every_length_is_counted_and_harms_nobody() {
    let mut world = World::new(2);
    let stranger = SocketAddr::from(([198, 51, 100, 7], 9));
    let room = world.open_room();
    let ann = world.join(room, Conditions::default());
    let mut random = Random::new(2);
    let client = world.clients[ann].public;

    let mut sent = garbage(&mut world, &mut random, &[stranger, client]);
    world.run_until(Duration::from_secs(10), |world| world.clients[ann].connected.is_some());
    let camera = world.film(ann, vec![Camera::new(0, 30, 3, 900)]);
    let bob = world.arrive(room, Conditions::default());
    let picture = world.watch(bob, ann, camera, 0);
    world.run_for(Duration::from_secs(1));
    let other = world.clients[bob].public;
    sent += garbage(&mut world, &mut random, &[stranger, client, other]);
    world.run_for(Duration::from_secs(2));

    let counters = world.worker.counters();
    assert!(counters.dropped.total() >= sent - undecided(&counters.dropped), "{sent} {counters:?}");
    assert_eq!(counters.rooms_lost, 0);
    let sink = world.sink(bob, picture);
    assert_eq!((sink.missing().len(), sink.duplicates(), sink.broken()), (0, 0, 0));
    assert!(sink.shown().len() > 80, "{}", sink.shown().len());
}

#[test]
fn forged_media_never_ends_a_call() {
    let mut call = Call::new(3);
    call.world.run_for(Duration::from_secs(1));
    call.world.tapped = Some(Vec::new());
    call.world.run_for(Duration::from_millis(500));
    let heard = call.world.tapped.take().unwrap();
    let stranger = SocketAddr::from(([198, 51, 100, 7], 9));
    let mut random = Random::new(3);

    for round in 0..200_u16 {
        for (from, bytes) in heard.iter().filter(|(_, bytes)| bytes[0] >= 128).take(20) {
            let mut forged = bytes.clone();
            let at = usize::try_from(random.below(forged.len() as u64 - 12)).unwrap() + 12;
            forged[at] ^= 0x55;
            // A number the replay window has not seen.
            let seq = u16::from_be_bytes([forged[2], forged[3]]).wrapping_add(2_000 + round);
            forged[2..4].copy_from_slice(&seq.to_be_bytes());
            call.world.inject(from.addr, &forged);
            call.world.inject(stranger, &forged);
        }
        call.world.run_for(Duration::from_millis(50));
    }

    let sink = call.world.sink(call.bob, call.picture);
    assert_eq!((sink.missing().len(), sink.duplicates(), sink.broken()), (0, 0, 0));
    let dropped = call.world.worker.counters().dropped;
    assert_eq!(dropped.of(DropReason::UnknownRemote), 4_000);
    assert!(dropped.of(DropReason::RtpForged) > 2_000, "{dropped:?}");
}

#[test]
fn fifty_stuck_decoders_make_two_keyframe_requests_a_second() {
    let mut call = Call::new(4);
    let mut viewers = Vec::new();
    for _ in 0..50 {
        let viewer = call.world.arrive(call.room, Conditions::default());
        viewers.push((viewer, call.world.watch(viewer, call.ann, call.camera, 0)));
    }
    call.world.run_for(Duration::from_secs(1));
    let before = call.world.clients[call.ann].keyframe_requests.len();

    let asked = call.world.now;
    for _ in 0..40 {
        for (viewer, picture) in &viewers {
            call.world.clients[*viewer].request_keyframe(*picture);
        }
        call.world.run_for(Duration::from_millis(100));
    }

    let requests = &call.world.clients[call.ann].keyframe_requests[before..];
    assert!((7..=9).contains(&requests.len()), "{}", requests.len());
    let first = requests[0].0 - asked;
    assert!(first < Duration::from_millis(50 + 20), "{first:?} with 20 ms on the way");
}

fn since(before: &Drops, after: &Drops, reason: DropReason) -> u64 {
    after.of(reason) - before.of(reason)
}

/// Every length from 0 to 64 with every kind of first bytes, from each of these addresses.
fn garbage(world: &mut World, random: &mut Random, from: &[SocketAddr]) -> u64 {
    let firsts = (0..=3_u8).chain(0x14..=0x40).map(|first| vec![first]);
    let control = (0xc8..=0xcd).map(|second| vec![0x80, second]);
    let all: Vec<Vec<u8>> =
        firsts.chain(control).chain([vec![0x80, 0x60], vec![0xbf, 0xff], vec![0xff]]).collect();
    let mut sent = 0;
    for len in 0..=64_usize {
        for first in &all {
            for addr in from {
                let mut datagram = first.clone();
                datagram.resize_with(len.max(first.len()), || u8::try_from(random.below(256)).unwrap());
                datagram.truncate(len);
                world.inject(*addr, &datagram);
                sent += 1;
            }
        }
    }
    sent
}

/// DTLS records from a known address are the handshake's to judge.
fn undecided(dropped: &Drops) -> u64 {
    let _ = dropped;
    2 * 65 * 44
}
