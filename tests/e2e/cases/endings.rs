//! Endings: rooms that close by themselves, a server that is killed, a server that is asked to stop.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::calls::is;
use crate::Journey;
use crate::stage::failure::{Failure, Step, promise};
use crate::stage::people::{Path, Picture, Sdk};
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("endings::an_empty_room_closes_after_its_timeout", an_empty_room_closes),
    ("endings::a_killed_server_is_found_again_by_everybody", a_killed_server_is_found_again),
    ("endings::a_server_asked_to_stop_sends_everybody_to_its_successor", a_server_asked_to_stop),
];

const CLOSE_MAX: Duration = Duration::from_secs(15);

fn an_empty_room_closes(world: &mut World) -> Step {
    let (never, once) = (world.room(), world.room());
    let short = |name: &str| json!({ "name": name, "emptyTimeout": 1, "departureTimeout": 1 });
    world.service(Sdk::Node, "CreateRoom", short(&never))?;
    world.service(Sdk::Node, "CreateRoom", short(&once))?;
    let ada = world.person("ada", Sdk::Browser)?;
    ada.join(&once, Path::Single)?;
    ada.leave()?;

    let deadline = Instant::now() + CLOSE_MAX;
    loop {
        let left = world.service(Sdk::Node, "ListRooms", json!({ "names": [never, once] }))?;
        if left["rooms"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::TooLate(format!("still open: {left}"), CLOSE_MAX.as_secs()));
        }
    }
}

fn a_killed_server_is_found_again(world: &mut World) -> Step {
    let room = world.room();
    let mut people = Vec::new();
    for (sdk, path) in [(Sdk::Browser, Path::Single), (Sdk::Node, Path::Single), (Sdk::Python, Path::Dual)] {
        let person = world.person(sdk.name(), sdk)?;
        person.join(&room, path)?;
        person.film(Picture::PLAIN)?;
        people.push((person.now(), person));
    }
    let (_, browser) = &people[0];
    for (_, person) in &people[1..] {
        browser.watch(person, 5)?;
    }

    world.server.replace()?;
    for (now, person) in &people {
        person.saw_since(*now, "reconnected", |_| true)?;
    }
    for (_, person) in &people[1..] {
        let of = |event: &Value| event["identity"] == person.identity.as_str() && event["kind"] == "video";
        browser.saw_since(people[0].0, "track_subscribed", of)?;
        browser.watch(person, 5)?;
        person.watch(browser, 5)?;
    }
    Ok(())
}

fn a_server_asked_to_stop(world: &mut World) -> Step {
    world.server.sabha()?;
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Python)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
    }
    let camera = ada.film(Picture::PLAIN)?;
    ben.saw("track_subscribed", is("sid", &camera))?;

    let now = [ada.now(), ben.now()];
    let status = world.server.terminate()?;
    promise(status.success(), || format!("it ended with {status}"))?;
    // Before it ends it says where everybody stands: they do not wait for a timeout.
    for (person, now) in [&ada, &ben].into_iter().zip(now) {
        person.saw_since(now, "reconnecting", |_| true)?;
    }
    world.server.resume()?;
    for (person, now) in [&ada, &ben].into_iter().zip(now) {
        person.saw_since(now, "reconnected", |_| true)?;
    }
    ben.watch(&ada, 5).map(drop)
}
