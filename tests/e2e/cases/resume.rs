//! A lost WebSocket, a lost session, a lost server: who comes back, and what that costs.

use std::net::SocketAddr;
use std::rc::Rc;

use serde_json::{Value, json};

use super::calls::is;
use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::network::Place;
use crate::stage::people::{Delivery, Path, Person, Picture, Sdk};
use crate::stage::proxy::Proxy;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("resume::a_lost_websocket_costs_no_media_one_connection", |world| no_media_is_lost(world, Path::Single)),
    ("resume::a_lost_websocket_costs_no_media_two_connections", |world| no_media_is_lost(world, Path::Dual)),
    ("resume::every_sdk_resumes_after_losing_its_websocket", every_sdk_resumes),
    ("resume::what_happened_meanwhile_is_told_after_resuming", what_happened_meanwhile),
    ("resume::a_session_that_was_reset_is_joined_anew", a_session_is_joined_anew),
    ("resume::an_ice_restart_keeps_the_media", an_ice_restart_keeps_the_media),
];

/// A proxy in front of the server, and somebody behind it.
fn behind(world: &mut World, identity: &str, sdk: Sdk) -> Step<(Proxy, Rc<Person>)> {
    let server: SocketAddr = world.server.address();
    let proxy = Proxy::start(world.network.server(), server)?;
    let person = world.person_through(Place::Park, identity, sdk, &proxy.url())?;
    Ok((proxy, person))
}

fn no_media_is_lost(world: &mut World, path: Path) -> Step {
    let room = world.room();
    let (proxy, ada) = behind(world, "ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, path)?;
        person.speak()?;
        person.film(Picture { fps: 30, ..Picture::PLAIN })?;
    }
    // Some seconds for the encoders and the jitter buffers to settle.
    for seen in
        [ada.begin_watch(&ben, 60)?, ben.begin_watch(&ada, 60)?, ada.begin_hear(&ben)?, ben.begin_hear(&ada)?]
    {
        seen.answer()?;
    }

    let state = |to: &Person, from: &Person| Ok((to.received(from, "video")?, to.received(from, "audio")?));
    let before = [state(&ada, &ben)?, state(&ben, &ada)?];
    let now = ada.now();
    promise(proxy.cut() > 0, || "there was no WebSocket to cut".into())?;
    ada.saw_since(now, "resuming", |_| true)?;
    ada.saw_since(now, "reconnected", |_| true)?;
    for seen in [ada.begin_watch(&ben, 30)?, ben.begin_watch(&ada, 30)?] {
        seen.answer()?;
    }
    let after = [state(&ada, &ben)?, state(&ben, &ada)?];

    let full = ada.events_since(now, "reconnecting");
    promise(full.is_empty(), || format!("{path}: it joined anew instead of resuming"))?;
    for (who, (before, after)) in ["ada", "ben"].into_iter().zip(before.into_iter().zip(after)) {
        let lost = after.0.lost - before.0.lost + after.1.lost - before.1.lost;
        promise(lost == 0.0, || format!("{path}: {who} lost {lost} packets: {before:?} {after:?}"))?;
        let freezes = after.0.freezes - before.0.freezes;
        promise(freezes == 0.0, || format!("{path}: {freezes} freezes for {who}"))?;
        let rate = (after.0.frames - before.0.frames) / ((after.0.at_ms - before.0.at_ms) / 1000.0);
        world.report.figure(
            format!("over a lost WebSocket, {path}, {who}"),
            format!(
                "{rate:.1} frames a second, {lost} packets lost, {:.0} samples concealed",
                after.1.concealed - before.1.concealed
            ),
        );
        promise(rate >= 24.0, || format!("{path}: {who} saw {rate:.1} frames a second"))?;
    }
    Ok(())
}

fn every_sdk_resumes(world: &mut World) -> Step {
    for path in Path::BOTH {
        for sdk in Sdk::ALL {
            let room = world.room();
            let (proxy, ada) = behind(world, "ada", sdk)?;
            let ben = world.person("ben", Sdk::Browser)?;
            for person in [&ada, &ben] {
                person.join(&room, path)?;
                person.film(Picture::PLAIN)?;
            }
            ada.watch(&ben, 10)?;
            ben.watch(&ada, 10)?;

            // Twice: a session that resumed must be able to resume.
            for turn in ["first", "second"] {
                let now = ada.now();
                promise(proxy.cut() > 0, || {
                    format!("{path}, {}: nothing to cut the {turn} time", sdk.name())
                })?;
                ada.saw_since(now, "reconnected", |_| true)?;
                ada.watch(&ben, 10)?;
                ben.watch(&ada, 10)?;
                ada.send(turn, "news", Delivery::Reliable, &[])?;
                ben.saw("data", is("text", turn))?;
                ben.send(turn, "news", Delivery::Reliable, &[])?;
                ada.saw("data", is("text", turn))?;
            }
            let left = ben.events_since(0, "participant_disconnected");
            promise(left.is_empty(), || format!("{path}, {}: it left instead of resuming", sdk.name()))?;
            for person in [&ada, &ben] {
                person.leave()?;
            }
        }
    }
    Ok(())
}

fn what_happened_meanwhile(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let (proxy, ada) = behind(world, "ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Node)?;
        let eve = world.person("eve", Sdk::Python)?;
        for person in [&ada, &ben] {
            person.join(&room, path)?;
        }
        ada.saw("participant_connected", is("identity", "ben"))?;

        let now = ada.now();
        proxy.cut();
        ben.leave()?;
        eve.join(&room, path)?;
        let camera = eve.film(Picture::PLAIN)?;

        ada.saw_since(now, "reconnected", |_| true)?;
        ada.saw_since(now, "participant_disconnected", is("identity", "ben"))?;
        ada.saw_since(now, "participant_connected", is("identity", "eve"))?;
        ada.saw_since(now, "track_subscribed", is("sid", &camera))?;
        ada.watch(&eve, 5)?;
    }
    Ok(())
}

fn a_session_is_joined_anew(world: &mut World) -> Step {
    for path in Path::BOTH {
        for sdk in [Sdk::Browser, Sdk::Python] {
            let room = world.room();
            let ada = world.person("ada", sdk)?;
            let ben = world.person("ben", Sdk::Browser)?;
            for person in [&ada, &ben] {
                person.join(&room, path)?;
                person.film(Picture::PLAIN)?;
            }
            ada.watch(&ben, 5)?;
            ben.watch(&ada, 5)?;

            let (now, bens) = (ada.now(), ben.now());
            ada.ask("simulate", json!({ "scenario": "full-reconnect" }))?;
            ada.saw_since(now, "reconnected", |_| true)?;
            ben.saw_since(bens, "track_subscribed", |event: &Value| {
                event["identity"] == "ada" && event["kind"] == "video"
            })?;
            ada.watch(&ben, 5)?;
            ben.watch(&ada, 5)?;
            for person in [&ada, &ben] {
                person.leave()?;
            }
        }
    }
    Ok(())
}

fn an_ice_restart_keeps_the_media(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person("ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Browser)?;
        for person in [&ada, &ben] {
            person.join(&room, path)?;
            person.film(Picture::PLAIN)?;
        }
        ada.watch(&ben, 10)?;
        ben.watch(&ada, 10)?;

        let names = |transports: Value| -> Vec<String> {
            let all = transports.as_array().cloned().unwrap_or_default();
            all.iter().filter_map(|transport| transport["ufrag"].as_str().map(str::to_owned)).collect()
        };
        let old = names(ada.ask("transports", json!({}))?);
        let now = ada.now();
        ada.ask("simulate", json!({ "scenario": "signal-reconnect" }))?;
        ada.saw_since(now, "reconnected", |_| true)?;
        ada.watch(&ben, 10)?;
        ben.watch(&ada, 10)?;
        let new = names(ada.ask("transports", json!({}))?);
        promise(new.iter().all(|ufrag| !old.contains(ufrag)), || {
            format!("{path}: ICE was not restarted: {old:?} {new:?}")
        })?;
    }
    Ok(())
}
