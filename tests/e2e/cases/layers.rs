//! Layers between browsers: each codec switches quality, what nobody sees is not sent, and encrypted pictures pass. The
//! browser's SDK does not encrypt AV1.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::people::{Codec, Path, Person, Picture, Sdk, millis};
use crate::stage::token::Token;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("layers::vp8_simulcast_switches_quality", |world| quality(world, Codec::Vp8)),
    ("layers::h264_simulcast_switches_quality", |world| quality(world, Codec::H264)),
    ("layers::vp9_svc_switches_quality", |world| quality(world, Codec::Vp9)),
    ("layers::av1_svc_switches_quality", |world| quality(world, Codec::Av1)),
    ("layers::what_nobody_sees_is_not_sent", hidden_costs_nothing),
    ("layers::vp8_passes_encrypted", |world| encrypted(world, Codec::Vp8)),
    ("layers::h264_passes_encrypted", |world| encrypted(world, Codec::H264)),
    ("layers::vp9_passes_encrypted", |world| encrypted(world, Codec::Vp9)),
];

/// LiveKit's qualities, and how wide a 720p source is in each.
const LOW: (u32, u32) = (0, 320);
const MEDIUM: (u32, u32) = (1, 640);
const HIGH: (u32, u32) = (2, 1280);
/// A switch of quality is a key frame and a round trip away; the figure itself is printed.
const FROZEN_MAX_S: f64 = 1.0;
/// How long a picture that nobody sees may go on being sent.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// How long it may take to come back.
const RETURNS_WITHIN: Duration = Duration::from_secs(1);

fn quality(world: &mut World, codec: Codec) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
    }
    ada.film_layers(Picture { codec, ..Picture::HD })?;
    ben.ask("see_width", json!({ "from": "ada", "width": HIGH.1 }))?;

    let mut took = Vec::new();
    for (quality, width) in [LOW, HIGH, MEDIUM, LOW, HIGH] {
        let seen = ben.ask("quality", json!({ "from": "ada", "quality": quality, "width": width }))?;
        let frozen = seen["frozen"].as_f64().unwrap_or(f64::MAX);
        promise(frozen < FROZEN_MAX_S, || format!("frozen for {frozen} s on the way to {width}: {seen}"))?;
        promise(seen["mime"] == codec.mime(), || format!("not {}: {seen}", codec.mime()))?;
        took.push(format!("{width}: {} ms", millis(&seen).as_millis()));
    }
    world.report.figure(format!("{} goes to another size after", codec.mime()), took.join(", "));
    Ok(())
}

fn hidden_costs_nothing(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    let options = json!({ "dynacast": true });
    join_with(&ada, &room, &options)?;
    ben.join(&room, Path::Single)?;
    ada.film_layers(Picture::HD)?;
    ben.ask("see_width", json!({ "from": "ada", "width": HIGH.1 }))?;

    let smaller = ben.begin("quality", json!({ "from": "ada", "quality": LOW.0, "width": LOW.1 }))?;
    smaller.answer()?;
    let fewer = ada.ask("sends_layers", json!({ "count": 1 }))?;
    ben.ask("enable", json!({ "from": "ada", "on": false }))?;
    let none = ada.ask("sends_layers", json!({ "count": 0 }))?;
    let again = ben.ask("enable", json!({ "from": "ada", "on": true }))?;

    world.report.figure("a smaller picture stops the larger layers after", format!("{:?}", millis(&fewer)));
    world.report.figure("a hidden picture stops the last layer after", format!("{:?}", millis(&none)));
    world.report.figure("a picture shown again moves after", format!("{:?}", millis(&again)));
    promise(millis(&none) < STOPS_WITHIN, || format!("still sent: {none}"))?;
    promise(millis(&again) < RETURNS_WITHIN, || format!("late: {again}"))
}

fn encrypted(world: &mut World, codec: Codec) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        join_with(person, &room, &json!({ "secret": "open sesame" }))?;
    }
    ada.film_layers(Picture { codec, ..Picture::HD })?;
    ada.speak()?;

    let seen = ben.watch(&ada, 60)?;
    let heard = ben.hear(&ada)?;

    promise(seen["mime"] == codec.mime(), || format!("not {}: {seen}", codec.mime()))?;
    promise(heard["energy"].as_f64() > Some(0.0), || format!("silence: {heard}"))?;
    let switched = ben.ask("quality", json!({ "from": "ada", "quality": LOW.0, "width": LOW.1 }))?;
    world.report.figure(
        format!("{} encrypted end to end", codec.mime()),
        format!("{} wide, to {} after {:?}", seen["width"], LOW.1, millis(&switched)),
    );
    Ok(())
}

fn join_with(person: &Person, room: &str, options: &Value) -> Step {
    let token = Token::join(room, &person.identity);
    person.begin_join_as(&token, Path::Single, options)?.answer().map(drop)
}
