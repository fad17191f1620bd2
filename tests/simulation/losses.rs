//! Bad paths: what is lost comes back.

use std::time::Duration;

use harness::{
    client::SourceState,
    network::{Conditions, Loss},
};

use crate::calls::Call;

const GOOD: Conditions = Conditions {
    latency: Duration::from_millis(20),
    jitter: Duration::from_millis(3),
    loss: Loss::None,
    reorder: 0,
    duplicate: 0,
    rate: None,
};

#[test]
fn losses_on_the_publishers_path_are_repaired() {
    crate::for_each_seed(&[1, 2], |seed| {
        for (loss, left) in [(50_000, 0), (100_000, 10)] {
            let bad = Conditions { loss: Loss::Even(loss), ..GOOD };
            assert_repaired(Call::over(seed, bad, GOOD), left);
        }
    });
}

#[test]
fn losses_on_the_subscribers_path_are_repaired() {
    crate::for_each_seed(&[1, 2], |seed| {
        for (loss, left) in [(50_000, 0), (100_000, 10)] {
            let bad = Conditions { loss: Loss::Even(loss), ..GOOD };
            assert_repaired(Call::over(seed, GOOD, bad), left);
        }
    });
}

#[test]
fn bursts_on_both_paths_are_repaired() {
    crate::for_each_seed(&[1, 2], |seed| {
        let loss = Loss::Bursts { to_bad: 10_000, to_good: 200_000, lost: 700_000 };
        let bad = Conditions { loss, ..GOOD };
        assert_repaired(Call::over(seed, bad, bad), 10);
    });
}

#[test]
fn packets_that_overtake_and_repeat_are_put_right_without_asking_again() {
    crate::for_each_seed(&[1, 2], |seed| {
        let bad = Conditions { reorder: 50_000, duplicate: 50_000, ..GOOD };
        let call = assert_repaired(Call::over(seed, bad, bad), 0);
        let counters = call.world.worker.counters();
        assert!(counters.packets_retransmitted < counters.packets_forwarded / 10, "{counters:?}");
    });
}

#[test]
fn sound_is_repaired_without_rtx() {
    crate::for_each_seed(&[1, 2], |seed| {
        let bad = Conditions { loss: Loss::Even(50_000), ..GOOD };
        let mut call = Call::over(seed, GOOD, bad);

        call.world.run_for(Duration::from_secs(12));

        let sink = call.world.sink(call.bob, call.sound);
        assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
        // The last ones may still be on their way.
        let lost = sink.missing().len();
        assert!(lost <= 3, "{lost} of {}", sink.packets.len());
    });
}

fn assert_repaired(mut call: Call, left: usize) -> Call {
    call.world.run_for(Duration::from_secs(2));
    let from = call.world.now;
    call.world.run_for(Duration::from_secs(10));
    let to = call.world.now;
    // The last requests are answered before it is counted.
    call.world.clients[call.ann].sources.iter_mut().for_each(|source| source.state = SourceState::Off);
    call.world.run_for(Duration::from_secs(1));

    let sink = call.world.sink(call.bob, call.picture);
    let freeze = sink.longest_freeze(from, to);
    assert_eq!((sink.duplicates(), sink.broken()), (0, 0));
    assert!(sink.missing().len() <= left, "{:?} of {}", sink.missing(), sink.packets.len());
    assert!(freeze < Duration::from_millis(700), "{freeze:?}");
    assert_eq!(call.world.worker.counters().unsealed, 0);
    call
}
