//! Paths that change or end.

use std::time::Duration;

use harness::network::{Conditions, Loss};
use sfu::event::{EventKind, Failure};

use crate::calls::Call;

#[test]
fn a_new_port_at_the_publishers_nat_is_followed() {
    crate::for_each_seed(&[1, 2], |seed| {
        let mut call = Call::new(seed);
        call.world.run_for(Duration::from_secs(5));

        let changed = call.world.now;
        call.world.rebind(call.ann);
        call.world.run_for(Duration::from_secs(10));

        let freeze = call.world.sink(call.bob, call.picture).longest_freeze(changed, call.world.now);
        assert!(freeze < Duration::from_secs(5), "{freeze:?}");
    });
}

#[test]
fn a_new_port_at_the_subscribers_nat_is_followed_and_the_old_one_gets_nothing_more() {
    crate::for_each_seed(&[1, 2], |seed| {
        let mut call = Call::new(seed);
        call.world.run_for(Duration::from_secs(5));

        let changed = call.world.now;
        call.world.rebind(call.bob);
        call.world.run_for(Duration::from_secs(10));

        let sink = call.world.sink(call.bob, call.picture);
        let freeze = sink.longest_freeze(changed, call.world.now);
        assert!(freeze < Duration::from_secs(5), "{freeze:?}");
        assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
    });
}

#[test]
fn a_silent_client_is_disconnected_after_ten_seconds_and_failed_after_fifteen() {
    let mut call = Call::new(1);
    call.world.run_for(Duration::from_secs(5));
    let silent = call.world.now;
    call.world.clients[call.bob].up.conditions.loss = Loss::All;

    call.world.run_for(Duration::from_secs(20));

    let transport = call.world.clients[call.bob].transport;
    let disconnected = call.world.told(|kind| match kind {
        EventKind::Disconnected(who) if *who == transport => Some(()),
        _ => None,
    });
    let failed = call.world.told(|kind| match kind {
        EventKind::Failed(who, Failure::Silence) if *who == transport => Some(()),
        _ => None,
    });
    let after = |moments: Vec<(std::time::Instant, ())>| moments[0].0 - silent;
    let (disconnected, failed) = (after(disconnected), after(failed));
    // The last check was heard up to one interval before.
    assert!((6..=10).contains(&disconnected.as_secs()), "{disconnected:?}");
    assert!((11..=15).contains(&failed.as_secs()), "{failed:?}");
    let end = silent + failed + Duration::from_millis(50);
    assert!(
        call.world.sink(call.bob, call.picture).since(end).packets.is_empty(),
        "nothing is sent any more"
    );
}

#[test]
fn a_client_that_is_heard_again_goes_on_where_it_was() {
    let mut call = Call::new(2);
    call.world.run_for(Duration::from_secs(5));
    call.world.clients[call.bob].up.conditions.loss = Loss::All;
    call.world.clients[call.bob].down.conditions.loss = Loss::All;
    call.world.run_for(Duration::from_secs(6));

    let back = call.world.now;
    call.world.clients[call.bob].up.conditions.loss = Loss::None;
    call.world.clients[call.bob].down.conditions.loss = Loss::None;
    call.world.run_for(Duration::from_secs(5));

    let sink = call.world.sink(call.bob, call.picture);
    assert!(sink.longest_freeze(back, call.world.now) < Duration::from_millis(1_500));
    assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
}

#[test]
fn a_slow_link_delivers_what_fits() {
    let slow = Conditions { rate: Some((4_000_000, Duration::from_millis(200))), ..Conditions::default() };
    let mut call = Call::over(3, Conditions::default(), slow);

    call.world.run_for(Duration::from_secs(10));

    let sink = call.world.sink(call.bob, call.picture);
    assert_eq!((sink.missing().len(), sink.duplicates(), sink.broken()), (0, 0, 0));
}
