//! What the agent promises.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use turn::stun::TransactionId;

use super::*;
use crate::params::{Protocol, Secret};

const OLD: &str = "old password of twenty-two";
const NEW: &str = "new password of twenty-two";

#[test]
fn a_signed_check_is_answered_with_the_address_it_came_from() {
    let mut world = World::new();

    let Reply::Accepted(answer) = world.check(1, Check::signed("ours:theirs", OLD)) else {
        panic!("not accepted");
    };

    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.class(), Class::Success);
    assert_eq!(answer.transaction_id(), TransactionId([9; 12]));
    assert_eq!(answer.xor_mapped_address(), Some(remote(1).addr));
    assert_eq!(answer.check_integrity(&IntegrityKey::short_term(OLD)), Ok(()));
    assert_eq!(answer.check_fingerprint(), Ok(()));
    assert_eq!(world.agent.selected(), Some(remote(1)));
    assert!(world.agent.knows(remote(1), world.now));
    assert!(!world.agent.knows(remote(2), world.now));
}

#[test]
fn what_is_not_authentic_gets_no_answer_and_leaves_no_trace() {
    let mut world = World::new();
    let other_password = Check::signed("ours:theirs", NEW);
    let other_user = Check::signed("other:theirs", OLD);
    let other_peer = Check::signed("ours:other", OLD);
    let no_colon = Check::signed("ours", OLD);
    let empty = Check::signed("", OLD);
    let long = Check::signed(&"o".repeat(600), OLD);
    let unsigned = Check { password: None, ..Check::signed("ours:theirs", OLD) };
    let response = Check { class: Class::Success, ..Check::signed("ours:theirs", OLD) };
    let indication = Check { class: Class::Indication, ..Check::signed("ours:theirs", OLD) };
    let allocate = Check { method: Method::new(3).unwrap(), ..Check::signed("ours:theirs", OLD) };
    let unknown = Check { unknown: 1, password: Some(NEW.to_owned()), ..Check::signed("ours:theirs", OLD) };
    let checks = [
        other_password,
        other_user,
        other_peer,
        no_colon,
        empty,
        long,
        unsigned,
        response,
        indication,
        allocate,
        unknown,
    ];

    for check in checks {
        assert_eq!(world.check(1, check.clone()), Reply::Ignored, "{check:?}");
    }

    assert_eq!(world.agent.selected(), None);
    assert!(!world.agent.knows(remote(1), world.now));
}

#[test]
fn a_wrong_fingerprint_is_not_authentic_and_a_missing_one_is_borne() {
    let mut world = World::new();
    let mut bytes = Check::signed("ours:theirs", OLD).to_bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(world.bytes(1, &bytes), Reply::Ignored);

    let without = Check { fingerprint: false, ..Check::signed("ours:theirs", OLD) };

    assert!(matches!(world.check(1, without), Reply::Accepted(_)));
}

#[test]
fn an_attribute_that_must_be_understood_and_is_not_is_refused_with_420() {
    let mut world = World::new();

    let check = Check { unknown: 200, ..Check::signed("ours:theirs", OLD) };
    let len = check.to_bytes().len();
    let Reply::Refused(answer) = world.check(1, check) else { panic!("not refused") };

    assert!(answer.len() <= len, "an answer is never longer than its request");
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.error_code(), Some(ErrorCode::UNKNOWN_ATTRIBUTE));
    assert_eq!(answer.attribute(AttributeType::UNKNOWN_ATTRIBUTES).map(<[u8]>::len), Some(16));
    assert_eq!(answer.check_integrity(&IntegrityKey::short_term(OLD)), Ok(()));
    assert_eq!(world.agent.selected(), None);
}

#[test]
fn a_client_that_says_it_is_controlled_is_told_487() {
    let mut world = World::new();

    let Reply::Refused(answer) =
        world.check(1, Check { controlled: true, ..Check::signed("ours:theirs", OLD) })
    else {
        panic!("not refused");
    };

    assert_eq!(Message::parse(&answer).unwrap().error_code(), Some(ErrorCode::ROLE_CONFLICT));
    assert_eq!(world.agent.selected(), None);
}

#[test]
fn checks_may_come_before_the_description() {
    let mut world = World::without_remote();
    assert!(matches!(world.check(1, Check::signed("ours:theirs", OLD)), Reply::Accepted(_)));
    assert_eq!(world.check(2, Check::signed("ours:other", OLD)), Reply::Ignored, "one client, not two");

    world.agent.set_remote(&credentials("theirs", "irrelevant"));

    assert_eq!(world.agent.selected(), Some(remote(1)));
}

#[test]
fn what_came_before_the_description_from_somebody_else_is_forgotten() {
    let mut world = World::without_remote();
    assert!(matches!(world.check(1, Check::signed("ours:mallory", OLD)), Reply::Accepted(_)));

    world.agent.set_remote(&credentials("theirs", "irrelevant"));

    assert_eq!(world.agent.selected(), None);
    assert!(!world.agent.knows(remote(1), world.now));
}

#[test]
fn before_a_nomination_the_latest_check_wins() {
    let mut world = World::new();
    world.hear(1, Nominates::No);
    world.hear(2, Nominates::No);
    assert_eq!(world.agent.selected(), Some(remote(2)));

    world.hear(1, Nominates::Yes);
    world.hear(2, Nominates::No);

    assert_eq!(world.agent.selected(), Some(remote(1)), "a nomination is worth more than a check");
}

#[test]
fn the_last_nomination_wins() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.hear(2, Nominates::Yes);

    assert_eq!(world.agent.selected(), Some(remote(2)));
}

#[test]
fn a_client_that_nominates_two_paths_in_turn_ends_up_on_one() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.hear(2, Nominates::Yes);
    let mut moves = 0;
    let mut last = world.agent.selected();

    for turn in 0..600 {
        world.pass(Duration::from_millis(100));
        world.hear(1 + turn % 2, Nominates::Yes);
        moves += u32::from(world.agent.selected() != last);
        last = world.agent.selected();
    }

    assert_eq!(moves, 0);
}

#[test]
fn of_two_paths_nominated_in_turn_the_one_of_higher_priority_is_used() {
    let mut world = World::new();
    world.hear_with_priority(1, Nominates::Yes, 200);
    world.hear_with_priority(2, Nominates::Yes, 100);

    for _ in 0..50 {
        world.pass(Duration::from_millis(50));
        world.hear_with_priority(1, Nominates::Yes, 200);
        assert_eq!(world.agent.selected(), Some(remote(1)));
        world.pass(Duration::from_millis(50));
        world.hear_with_priority(2, Nominates::Yes, 100);
        assert_eq!(world.agent.selected(), Some(remote(1)));
    }
}

#[test]
fn a_client_may_go_back_to_a_path_once_it_nominates_it_alone() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.hear(2, Nominates::Yes);

    for _ in 0..8 {
        world.pass(Duration::from_millis(480));
        world.hear(1, Nominates::Yes);
    }

    assert_eq!(world.agent.selected(), Some(remote(1)));
}

#[test]
fn a_new_address_of_a_client_takes_over_at_once_when_nominated() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.pass(Duration::from_millis(300));

    world.hear(2, Nominates::Yes);

    assert_eq!(world.agent.selected(), Some(remote(2)));
}

#[test]
fn a_new_address_takes_over_without_nomination_when_the_old_one_is_silent() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.pass(Duration::from_millis(2_500));
    world.hear(2, Nominates::No);
    assert_eq!(world.agent.selected(), Some(remote(1)), "libwebrtc checks stable paths every 2.5 s");

    world.pass(Duration::from_millis(600));
    world.hear(2, Nominates::No);

    assert_eq!(world.agent.selected(), Some(remote(2)));
}

#[test]
fn the_age_of_consent_is_that_of_the_path_in_use() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    let heard = world.now;
    world.pass(Duration::from_secs(1));

    world.hear(2, Nominates::No);

    assert_eq!(world.agent.heard(), Some(heard));
}

#[test]
fn a_restart_keeps_the_old_path_until_the_client_nominates_anew() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.restart();
    assert_eq!(world.agent.selected(), Some(remote(1)));
    world.pass(Duration::from_millis(100));

    assert!(matches!(world.check(2, Check::signed("new:theirs2", NEW)), Reply::Accepted(_)));
    assert_eq!(world.agent.selected(), Some(remote(1)));
    world.check(2, Check { nominates: true, ..Check::signed("new:theirs2", NEW) });
    assert_eq!(world.agent.selected(), Some(remote(2)));

    world.check(1, Check { nominates: true, ..Check::signed("ours:theirs", OLD) });
    assert_eq!(world.agent.selected(), Some(remote(2)), "the old credentials choose nothing any more");
}

#[test]
fn old_credentials_are_refused_five_seconds_after_a_restart() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.restart();

    world.pass(Duration::from_millis(4_999));
    assert!(matches!(world.check(1, Check::signed("ours:theirs", OLD)), Reply::Accepted(_)));
    world.pass(Duration::from_millis(1));

    assert_eq!(world.check(1, Check::signed("ours:theirs", OLD)), Reply::Ignored);
    assert!(matches!(world.check(1, Check::signed("new:theirs2", NEW)), Reply::Accepted(_)));
}

#[test]
fn a_client_that_learns_of_a_restart_late_is_heard_meanwhile() {
    for ours_first in [false, true] {
        let mut world = World::new();
        world.hear(1, Nominates::Yes);
        if ours_first {
            world.agent.restart(credentials("new", NEW), world.now);
        } else {
            world.agent.set_remote(&credentials("theirs2", "irrelevant"));
        }
        assert!(matches!(world.check(1, Check::signed("ours:theirs", OLD)), Reply::Accepted(_)));
        if ours_first {
            world.agent.set_remote(&credentials("theirs2", "irrelevant"));
        } else {
            world.agent.restart(credentials("new", NEW), world.now);
        }

        assert!(matches!(world.check(1, Check::signed("ours:theirs", OLD)), Reply::Accepted(_)));
        assert!(matches!(world.check(1, Check::signed("new:theirs2", NEW)), Reply::Accepted(_)));
    }
}

/// Seen with Chromium 156: answered on `old:new`, it kept that path, never checked `new:new`, and was cut off when the
/// old credentials ended.
#[test]
fn a_client_halfway_through_a_restart_is_not_answered() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.agent.set_remote(&credentials("theirs2", "irrelevant"));
    assert_eq!(world.check(2, Check::signed("ours:theirs2", OLD)), Reply::Ignored);
    world.agent.restart(credentials("new", NEW), world.now);

    assert_eq!(world.check(2, Check::signed("ours:theirs2", OLD)), Reply::Ignored);
    assert_eq!(world.check(2, Check::signed("new:theirs", NEW)), Reply::Ignored);
}

#[test]
fn a_restart_of_ours_is_answered_before_the_clients_description_comes() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.agent.restart(credentials("new", NEW), world.now);
    world.agent.set_remote(&credentials("theirs", "an unrelated description"));
    assert_eq!(world.check(2, Check::signed("new:theirs", NEW)), Reply::Ignored, "halfway");

    assert!(matches!(world.check(2, Check::signed("new:theirs2", NEW)), Reply::Accepted(_)));
    world.agent.set_remote(&credentials("theirs2", "irrelevant"));

    assert!(matches!(world.check(2, Check::signed("new:theirs2", NEW)), Reply::Accepted(_)));
    assert_eq!(world.agent.selected(), Some(remote(1)));
}

#[test]
fn a_stranger_in_a_restart_does_not_cost_the_client_its_path() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);
    world.agent.restart(credentials("new", NEW), world.now);
    let check = Check { nominates: true, ..Check::signed("new:stranger", NEW) };
    assert!(matches!(world.check(2, check), Reply::Accepted(_)));
    assert_eq!(world.agent.selected(), Some(remote(2)));

    world.agent.set_remote(&credentials("theirs2", "irrelevant"));

    assert_eq!(world.agent.selected(), Some(remote(1)));
    assert!(!world.agent.knows(remote(2), world.now));
}

#[test]
fn fifty_restarts_leave_one_path() {
    let mut world = World::new();
    for turn in 0..50 {
        let (ufrag, pwd) = (format!("u{turn}"), format!("password number {turn:06}"));
        world.agent.set_remote(&credentials(&format!("t{turn}"), "irrelevant"));
        world.agent.restart(credentials(&ufrag, &pwd), world.now);
        let check = Check { nominates: true, ..Check::signed(&format!("{ufrag}:t{turn}"), &pwd) };
        assert!(matches!(world.check(1, check), Reply::Accepted(_)));
        world.pass(Duration::from_millis(50));
    }

    assert_eq!(world.agent.selected(), Some(remote(1)));
    assert_eq!(world.check(1, Check::signed("ours:theirs", OLD)), Reply::Ignored);
}

#[test]
fn a_client_with_many_addresses_is_remembered_within_limits() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);

    for port in 2..1_000 {
        world.hear(port, Nominates::No);
    }

    assert_eq!(world.agent.selected(), Some(remote(1)));
    let known = (1..1_000).filter(|port| world.agent.knows(remote(*port), world.now)).count();
    assert_eq!(known, 16);
}

#[test]
fn an_address_that_was_silent_for_long_is_not_known_any_more() {
    let mut world = World::new();
    world.hear(1, Nominates::Yes);

    world.pass(Duration::from_secs(30));

    assert!(!world.agent.knows(remote(1), world.now));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nominates {
    Yes,
    No,
}

/// One agent, whose client is `ours:theirs`.
struct World {
    agent: Agent,
    now: Instant,
}

#[derive(Clone, Debug)]
struct Check {
    class: Class,
    method: Method,
    username: String,
    password: Option<String>,
    priority: u32,
    nominates: bool,
    controlled: bool,
    fingerprint: bool,
    unknown: u16,
}

impl Check {
    fn signed(username: &str, password: &str) -> Self {
        Self {
            class: Class::Request,
            method: Method::BINDING,
            username: username.to_owned(),
            password: Some(password.to_owned()),
            priority: 100,
            nominates: false,
            controlled: false,
            fingerprint: true,
            unknown: 0,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let mut builder = Builder::new(self.class, self.method, TransactionId([9; 12]), &mut buffer)
            .username(self.username.as_bytes())
            .priority(self.priority);
        builder = if self.controlled { builder.ice_controlled(1) } else { builder.ice_controlling(1) };
        for number in 0..self.unknown {
            builder = builder.attribute(AttributeType(0x7000 + number), &[]);
        }
        if self.nominates {
            builder = builder.use_candidate();
        }
        if let Some(password) = &self.password {
            builder = builder.integrity(&IntegrityKey::short_term(password));
        }
        if self.fingerprint {
            builder = builder.fingerprint();
        }
        let len = builder.finish().unwrap();
        buffer[..len].to_vec()
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self::without_remote();
        world.agent.set_remote(&credentials("theirs", "irrelevant"));
        world
    }

    fn without_remote() -> Self {
        #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
        let now = Instant::now();
        Self { agent: Agent::new(credentials("ours", OLD)), now }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn restart(&mut self) {
        self.agent.set_remote(&credentials("theirs2", "irrelevant"));
        self.agent.restart(credentials("new", NEW), self.now);
    }

    fn hear(&mut self, port: u16, nominates: Nominates) {
        self.hear_with_priority(port, nominates, 100);
    }

    fn hear_with_priority(&mut self, port: u16, nominates: Nominates, priority: u32) {
        let nominates = nominates == Nominates::Yes;
        let check = Check { nominates, priority, ..Check::signed("ours:theirs", OLD) };
        assert!(matches!(self.check(port, check), Reply::Accepted(_)));
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better where checks are made")]
    fn check(&mut self, port: u16, check: Check) -> Reply {
        self.bytes(port, &check.to_bytes())
    }

    fn bytes(&mut self, port: u16, bytes: &[u8]) -> Reply {
        let message = Message::parse(bytes).unwrap();
        self.agent.handle(&message, remote(port), self.now)
    }
}

fn remote(port: u16) -> Remote {
    Remote { protocol: Protocol::Udp, addr: SocketAddr::from(([203, 0, 113, 1], port)) }
}

fn credentials(ufrag: &str, pwd: &str) -> IceCredentials {
    IceCredentials { ufrag: ufrag.to_owned(), pwd: Secret(pwd.to_owned()) }
}
