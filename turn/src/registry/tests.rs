//! TRN-06 and TRN-09: nothing leaks, nothing is guessed, nobody takes more than is theirs.

use super::*;
use crate::fixture;

const USER: &[u8] = b"ann";

#[test]
fn every_port_is_free_again_after_any_number_of_allocations() {
    let mut registry = registry(49_152, 49_351, 12);
    let free = registry.free_ports();
    let mut now = fixture::start();
    let mut random = fixture::random(1);
    for round in 0..20_000 {
        now += Duration::from_secs(1);
        let wish = [PortWish::Any, PortWish::Even, PortWish::EvenAndNext][round % 3];
        let taken = registry.take(Family::V4, wish, USER, random(), now).unwrap();
        match taken.token {
            Some(token) if round % 2 == 0 => {
                let next = registry.redeem(token, USER, now).unwrap();
                assert_eq!(next.told.port(), taken.told.port() + 1);
                registry.give_back(next.told);
            }
            Some(_) | None => {}
        }
        if wish != PortWish::Any {
            assert_eq!(taken.told.port() % 2, 0);
        }
        registry.give_back(taken.told);
    }

    registry.expire(now + RESERVATION_LIFETIME);

    assert_eq!(registry.free_ports(), free);
    let all: Vec<_> =
        (0..free).map(|_| registry.take(Family::V4, PortWish::Any, USER, random(), now)).collect();
    let ports: std::collections::BTreeSet<u16> = all.iter().map(|taken| taken.unwrap().told.port()).collect();
    assert_eq!(ports.len(), 200);
    assert_eq!((ports.first(), ports.last()), (Some(&49_152), Some(&49_351)));
    assert_eq!(registry.take(Family::V4, PortWish::Any, USER, 0, now), Err(NoPort::Taken));
}

#[test]
fn a_small_or_odd_range_is_used_up_to_its_ends() {
    for (first, last) in [(5, 5), (5, 6), (6, 7), (5, 9), (65_535, 65_535), (65_534, 65_535), (7, 6)] {
        let mut random = fixture::random(u64::from(first));
        let now = fixture::start();
        let mut registry = registry(first, last, 1_000);
        let even = (first..=last).filter(|port| port % 2 == 0);
        let pairs = even.clone().filter(|port| *port < last).count();
        let found = (0..10)
            .filter(|_| registry.take(Family::V4, PortWish::EvenAndNext, USER, random(), now).is_ok())
            .count();
        assert_eq!(found, pairs, "{first} to {last}");
        registry.expire(now + RESERVATION_LIFETIME);
        let rest =
            (0..10).filter(|_| registry.take(Family::V4, PortWish::Any, USER, random(), now).is_ok()).count();
        assert_eq!(rest, (first..=last).len() - pairs, "{first} to {last}");
    }
}

#[test]
fn ports_cannot_be_foretold() {
    let mut registry = registry(49_152, 65_535, u32::MAX);
    let mut random = fixture::random(7);
    let mut buckets = [0_i32; 16];
    for _ in 0..100_000 {
        let taken = registry.take(Family::V4, PortWish::Any, USER, random(), fixture::start()).unwrap();
        buckets[usize::from((taken.told.port() - 49_152) / 1_024)] += 1;
        registry.give_back(taken.told);
    }

    let chi = buckets.iter().map(|count| f64::from((count - 6_250).pow(2)) / 6_250.0).sum::<f64>();

    // 15 degrees of freedom: one in a thousand is above 37.7.
    assert!(chi < 37.7, "{chi}");
}

#[test]
fn a_reservation_is_for_its_user_and_ends() {
    let now = fixture::start();
    let mut registry = registry(50_000, 50_009, 12);
    let token = registry.take(Family::V4, PortWish::EvenAndNext, USER, 3, now).unwrap().token.unwrap();

    assert_eq!(registry.redeem(token, b"bob", now), Err(NoPort::Taken));
    assert_eq!(registry.redeem(token, USER, now + RESERVATION_LIFETIME), Err(NoPort::Taken));
    assert_eq!(registry.redeem(ReservationToken([0; 8]), USER, now), Err(NoPort::Taken));
}

#[test]
fn a_quota_holds_for_allocations_and_reservations_together() {
    let now = fixture::start();
    let mut registry = registry(50_000, 50_999, 4);
    for _ in 0..4 {
        registry.admit(USER, now).unwrap();
    }
    assert_eq!(registry.admit(USER, now).unwrap_err(), Denied::User);
    assert!(registry.admit(b"bob", now).is_ok());
    registry.release(USER);
    registry.admit(USER, now).unwrap();

    let free = registry.free_ports();
    assert_eq!(registry.take(Family::V4, PortWish::EvenAndNext, USER, 3, now), Err(NoPort::Taken));
    assert_eq!(registry.free_ports(), free);
    registry.release(USER);
    assert!(registry.take(Family::V4, PortWish::EvenAndNext, USER, 3, now).is_ok());
    assert_eq!(registry.admit(USER, now).unwrap_err(), Denied::User);
    assert!(registry.admit(USER, now + RESERVATION_LIFETIME).is_ok(), "nobody came for it");
}

#[test]
fn a_family_without_an_address_is_told_apart_from_a_full_one() {
    let mut registry = registry(50_000, 50_000, 4);

    assert_eq!(registry.take(Family::V6, PortWish::Any, USER, 0, fixture::start()), Err(NoPort::Family));
}

fn registry(first: u16, last: u16, allocations: u32) -> Registry {
    let ip = "192.0.2.1".parse().unwrap();
    let each = Limits { allocations, bytes_per_second: 0 };
    Registry::new(&[RelayAddress { bind: ip, told: ip }], (first, last), u32::MAX, Box::new(Equal { each }))
}
