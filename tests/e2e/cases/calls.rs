//! Calls between browsers: what is seen, what is heard, how soon, and how it is sealed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::people::{Path, Picture, Sdk, fps, millis, moving};
use crate::stage::report::median_ms;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("calls::two_pages_see_and_hear_each_other_over_one_connection", |world| two_pages(world, Path::Single)),
    ("calls::two_pages_see_and_hear_each_other_over_two_connections", |world| two_pages(world, Path::Dual)),
    ("calls::media_is_sealed_with_aead_gcm", media_is_sealed_with_aead_gcm),
    ("calls::the_first_frame_comes_soon_after_joining", the_first_frame_comes_soon),
    ("calls::ten_pages_see_and_hear_one_another", ten_pages),
    ("calls::mute_unpublish_and_unsubscribe_are_seen_and_undone", mute_unpublish_unsubscribe),
    ("calls::who_speaks_is_told", who_speaks_is_told),
];

/// A 720p source gives thirty frames a second; fewer than this is a bad call.
const FPS_MIN: f64 = 24.0;
/// Far above what any machine that runs this needs; the figure itself is printed.
const FIRST_FRAME_MAX: Duration = Duration::from_secs(3);
const JOINS_MEASURED: usize = 7;
const CROWD: usize = 10;
/// Ninety pictures are decoded on one machine: each comes slowly.
const CROWD_FPS: u32 = 5;

fn two_pages(world: &mut World, path: Path) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, path)?;
        person.speak()?;
        person.film(Picture::HD)?;
    }
    // The first seconds belong to the encoders: they begin below the resolution asked for.
    let first = [ada.begin_watch(&ben, 30)?, ben.begin_watch(&ada, 30)?];
    for seen in first {
        moving(seen.answer()?)?;
    }

    let watching = [ada.begin_watch(&ben, 120)?, ben.begin_watch(&ada, 120)?];
    let hearing = [ada.begin_hear(&ben)?, ben.begin_hear(&ada)?];
    let mut rates = Vec::new();
    for seen in watching {
        let seen = moving(seen.answer()?)?;
        promise(fps(&seen) >= FPS_MIN, || format!("fewer than {FPS_MIN} frames a second: {seen}"))?;
        promise(seen["height"] == 720, || format!("the picture is not 720p: {seen}"))?;
        rates.push(fps(&seen));
    }
    for heard in hearing {
        let heard = heard.answer()?;
        promise(heard["energy"].as_f64() > Some(0.0), || format!("silence: {heard}"))?;
    }
    world.report.figure(
        format!("720p between two pages, {path}"),
        format!("{:.1} and {:.1} frames a second", rates[0], rates[1]),
    );
    Ok(())
}

fn media_is_sealed_with_aead_gcm(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person("ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Browser)?;
        for person in [&ada, &ben] {
            person.join(&room, path)?;
        }
        ada.film(Picture::PLAIN)?;
        ben.watch(&ada, 5)?;

        let transports = ben.ask("transports", json!({}))?;
        let transports = transports.as_array().cloned().unwrap_or_default();
        let connected: Vec<_> = transports.iter().filter(|t| t["dtls"] == "connected").collect();
        promise(!connected.is_empty(), || format!("no transport is connected: {transports:?}"))?;
        for transport in connected {
            let cipher = transport["srtp"].as_str().unwrap_or_default();
            promise(cipher.contains("AEAD") && cipher.contains("GCM"), || {
                format!("{path}: SRTP is {cipher}")
            })?;
            world.report.figure(format!("SRTP in Chromium, {path}"), cipher);
        }
    }
    Ok(())
}

fn the_first_frame_comes_soon(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person("ada", Sdk::Browser)?;
        ada.join(&room, path)?;
        ada.film(Picture::HD)?;
        let mut times = Vec::new();
        let mut joins = Vec::new();
        for turn in 0..JOINS_MEASURED {
            let ben = world.person(&format!("ben-{turn}"), Sdk::Browser)?;
            ben.ask("open", json!({}))?;
            joins.push(millis(&ben.join(&room, path)?));
            times.push(millis(&ben.saw("first_frame", |_| true)?));
            ben.leave()?;
        }
        let (join, first) = (median_ms(joins), median_ms(times.clone()));
        let worst = times.iter().max().copied().unwrap_or_default();
        world.report.figure(
            format!("join to first decoded frame, {path}"),
            format!(
                "p50 {first:.0} ms, worst {:.0} ms of {JOINS_MEASURED} (joined after {join:.0} ms)",
                worst.as_secs_f64() * 1000.0
            ),
        );
        promise(first < FIRST_FRAME_MAX.as_secs_f64() * 1000.0, || format!("{path}: {first:.0} ms"))?;
    }
    Ok(())
}

fn ten_pages(world: &mut World) -> Step {
    let room = world.room();
    let mut pages = Vec::new();
    for number in 0..CROWD {
        let path = if number % 2 == 0 { Path::Single } else { Path::Dual };
        let page = world.person(&format!("guest-{number}"), Sdk::Browser)?;
        page.join(&room, path)?;
        page.speak()?;
        page.film(Picture { fps: CROWD_FPS, ..Picture::SMALL })?;
        pages.push(page);
    }

    let meeting: Step<Vec<_>> =
        pages.iter().map(|page| page.begin("meet", json!({ "others": CROWD - 1, "frames": 15 }))).collect();
    let mut rates = Vec::new();
    for met in meeting? {
        let met = met.answer()?;
        rates.extend(met["rates"].as_array().into_iter().flatten().filter_map(Value::as_f64));
    }
    rates.sort_by(f64::total_cmp);
    let (slowest, middle) = (rates[0], rates[rates.len() / 2]);
    world.report.figure(
        format!("{CROWD} pages at 180p, {CROWD_FPS} frames a second sent"),
        format!("each sees {} others at {middle:.1} frames a second, slowest {slowest:.1}", CROWD - 1),
    );
    promise(middle > 3.5, || format!("half of the pictures have fewer than {middle:.1} frames a second"))
}

fn mute_unpublish_unsubscribe(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person("ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Browser)?;
        for person in [&ada, &ben] {
            person.join(&room, path)?;
        }
        let camera = ada.film(Picture::PLAIN)?;
        ada.saw("local_track_subscribed", is("sid", &camera))?;
        ben.watch(&ada, 5)?;

        ada.ask("mute", json!({ "sid": camera, "muted": true }))?;
        ben.saw("track_muted", is("sid", &camera))?;
        ada.ask("mute", json!({ "sid": camera, "muted": false }))?;
        ben.saw("track_unmuted", is("sid", &camera))?;
        ben.watch(&ada, 5)?;

        ben.ask("subscribe", json!({ "from": "ada", "sid": camera, "on": false }))?;
        ben.saw("track_unsubscribed", is("sid", &camera))?;
        let now = ben.now();
        ben.ask("subscribe", json!({ "from": "ada", "sid": camera, "on": true }))?;
        ben.saw_since(now, "track_subscribed", is("sid", &camera))?;
        ben.watch(&ada, 5)?;

        ada.unpublish(&camera)?;
        ben.saw("track_unpublished", is("sid", &camera))?;
        let again = ada.film(Picture::PLAIN)?;
        promise(again != camera, || format!("{path}: a new track has the sid of the old one"))?;
        ben.saw("track_subscribed", is("sid", &again))?;
        ben.watch(&ada, 5)?;
    }
    Ok(())
}

fn who_speaks_is_told(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Node)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
    }

    ada.speak()?;

    let speaking =
        |event: &Value| event["identities"].as_array().is_some_and(|who| who.contains(&json!("ada")));
    ben.saw("speakers", speaking)?;
    ada.saw("speakers", speaking)?;
    ada.leave()?;
    ben.saw("participant_disconnected", is("identity", "ada")).map(drop)
}

/// An event whose field has this value.
pub(super) fn is<'a>(field: &'a str, value: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |event| event[field] == value
}
