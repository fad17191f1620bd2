//! The estimator on paths of all kinds, in virtual time.

mod link;
pub(crate) mod receiver;

use self::link::{Call, GOOD, Path};
use super::*;

#[test]
fn a_wide_path_is_found_within_a_second() {
    let mut call = Call::new(Path { rate: 8_000_000.0, ..GOOD }, 1);
    call.wish = 3_000_000.0;
    call.run(1.0);

    assert!(call.rate() > 2_800_000.0, "{}", call.rate());
}

#[test]
fn a_narrow_path_is_filled_and_its_queue_stays_short() {
    for (rate, rtt) in [(300_000.0, 25), (1_000_000.0, 25), (3_000_000.0, 150)] {
        let mut call = Call::new(Path { rate, one_way: Micros(rtt * 1_000), ..GOOD }, 2);
        call.run(10.0);
        let mean = call.run(20.0);

        assert!((0.6 * rate..1.05 * rate).contains(&mean), "{mean} of {rate}");
        assert!(call.delay_max < Micros(280_000), "{:?} at {rate}", call.delay_max);
    }
}

#[test]
fn a_cliff_is_noticed_within_a_second_and_climbed_again_within_eight() {
    let mut call = Call::new(GOOD, 3);
    call.wish = 2_800_000.0;
    call.run(10.0);
    assert!(call.rate() > 2_200_000.0, "{}", call.rate());

    call.path.rate = 500_000.0;
    call.run(1.0);
    assert!(call.rate() < 700_000.0, "{}", call.rate());
    call.run(19.0);
    assert!((250_000.0..550_000.0).contains(&call.rate()), "{}", call.rate());

    call.path.rate = 3_000_000.0;
    call.run(8.0);
    assert!(call.rate() > 2_200_000.0, "{}", call.rate());
}

#[test]
fn a_ramp_is_followed_down_and_up() {
    let mut call = Call::new(GOOD, 4);
    call.run(10.0);
    for step in (5..30).rev().chain(5..30) {
        call.path.rate = f64::from(step) * 100_000.0;
        call.run(1.0);
        assert!(call.rate() < 1.4 * call.path.rate, "{} of {}", call.rate(), call.path.rate);
    }
    call.run(5.0);
    assert!(call.rate() > 1_800_000.0, "{}", call.rate());
}

#[test]
fn losses_of_the_path_itself_do_not_starve_it() {
    for (loss, burst) in [(20_000, 0), (50_000, 0), (100_000, 0), (20_000, 3)] {
        let mut call = Call::new(Path { rate: 6_000_000.0, loss, burst, ..GOOD }, 5);
        call.wish = 2_500_000.0;
        call.run(5.0);
        let mean = call.run(20.0);

        assert!(mean > 1_500_000.0, "{mean} at {loss}");
    }
}

#[test]
fn a_third_lost_leads_down() {
    let mut call = Call::new(Path { rate: 6_000_000.0, loss: 300_000, ..GOOD }, 6);
    call.wish = 2_500_000.0;
    call.run(30.0);

    assert!(call.rate() < 600_000.0, "{}", call.rate());
}

#[test]
fn a_short_queue_that_drops_instead_of_delaying_is_found_out() {
    let mut call = Call::new(Path { rate: 1_000_000.0, queue: Micros(40_000), ..GOOD }, 7);
    call.run(10.0);
    let mean = call.run(20.0);

    assert!((500_000.0..1_200_000.0).contains(&mean), "{mean}");
}

#[test]
fn jitter_is_no_congestion() {
    let mut call = Call::new(Path { rate: 6_000_000.0, jitter: Micros(30_000), ..GOOD }, 8);
    call.wish = 2_500_000.0;
    call.run(5.0);
    let mean = call.run(20.0);

    assert!(mean > 1_800_000.0, "{mean}");
}

#[test]
fn a_deep_queue_does_not_fill() {
    let mut call = Call::new(Path { rate: 1_000_000.0, queue: Micros(2_000_000), ..GOOD }, 9);
    call.run(10.0);
    call.run(20.0);

    assert!(call.delay_max < Micros(400_000), "{:?}", call.delay_max);
}

#[test]
fn somebody_elses_packets_leave_room() {
    let mut call = Call::new(GOOD, 10);
    call.run(10.0);
    call.path.other = 2_000_000.0;
    call.run(5.0);
    let mean = call.run(20.0);

    assert!((400_000.0..1_150_000.0).contains(&mean), "{mean}");
}

#[test]
fn who_has_all_they_want_is_not_sent_padding() {
    let mut call = Call::new(GOOD, 11);
    call.wish = 1_000_000.0;
    call.run(10.0);
    let before = call.padding;
    call.run(60.0);

    assert_eq!(call.padding, before);
}

#[test]
fn probing_a_full_path_costs_little() {
    let mut call = Call::new(Path { rate: 500_000.0, ..GOOD }, 12);
    call.wish = 3_000_000.0;
    call.run(10.0);
    let before = call.padding;
    call.run(60.0);

    let rate = (call.padding - before) as f64 * 8.0 / 60.0;
    assert!(rate < 25_000.0, "{rate}");
}

#[test]
fn a_path_that_falls_silent_is_sent_less_and_comes_back() {
    let mut call = Call::new(GOOD, 13);
    call.wish = 2_500_000.0;
    call.run(10.0);
    call.path.loss = 1_000_000;
    call.run(5.0);
    assert!(call.rate() < 800_000.0, "{}", call.rate());

    call.path.loss = 0;
    call.run(6.0);
    assert!(call.rate() > 2_000_000.0, "{}", call.rate());
}

#[test]
fn a_receivers_own_reckoning_counts_where_there_is_nothing_else() {
    let start = crate::fixture::start();
    let mut congestion = Congestion::new(start);
    assert_eq!(congestion.estimate(), None);

    congestion.remb(Bitrate::kbps(700));

    assert_eq!(congestion.estimate(), Some(Bitrate::kbps(700)));
}

#[test]
fn who_never_tells_anything_has_no_limit() {
    let start = crate::fixture::start();
    let mut congestion = Congestion::new(start);
    congestion.sent(1_200, Micros(0));
    assert!(congestion.estimate().is_some());

    congestion.sent(1_200, Micros(4_000_000));

    assert_eq!(congestion.estimate(), None);
}
