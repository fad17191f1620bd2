//! What is not media: packets, texts, procedures, names.

use std::rc::Rc;

use serde_json::{Value, json};

use super::calls::is;
use super::sdks::pairs;
use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::people::{Delivery, Path, Person, Sdk};
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("data::every_sdk_exchanges_data_texts_calls_and_names_one_connection", |world| {
        everything(world, Path::Single)
    }),
    ("data::every_sdk_exchanges_data_texts_calls_and_names_two_connections", |world| {
        everything(world, Path::Dual)
    }),
    ("data::data_goes_only_to_whom_it_is_meant_for", data_goes_only_where_meant),
    ("data::data_tracks_reach_those_who_subscribe_one_connection", |world| data_tracks(world, Path::Single)),
    ("data::data_tracks_reach_those_who_subscribe_two_connections", |world| data_tracks(world, Path::Dual)),
    ("data::reliable_data_arrives_whole_and_in_order", reliable_data_arrives_in_order),
];

/// More than one message of a data stream holds.
const LONG_TEXT: usize = 40_000;
const SEQUENCE: usize = 200;
/// The most that the SDKs put into one message, with room for the envelope.
const BIG_MESSAGE: usize = 60_000;

fn everybody(world: &mut World, path: Path) -> Step<Vec<Rc<Person>>> {
    let room = world.room();
    let mut people = Vec::new();
    for sdk in Sdk::ALL {
        let person = world.person(sdk.name(), sdk)?;
        person.join(&room, path)?;
        person.ask("listen_text", json!({ "topic": "letters" }))?;
        person.ask("answer_rpc", json!({ "method": "greet" }))?;
        people.push(person);
    }
    for (from, to) in pairs(&people) {
        to.knows(&from.identity, |_| true)?;
    }
    Ok(people)
}

fn everything(world: &mut World, path: Path) -> Step {
    let people = everybody(world, path)?;
    let letter = "सभा ".repeat(LONG_TEXT / 10);

    for person in &people {
        person.send(&format!("reliable from {}", person.identity), "news", Delivery::Reliable, &[])?;
        person.send(&format!("lossy from {}", person.identity), "news", Delivery::Lossy, &[])?;
        person.ask("send_text", json!({ "topic": "letters", "text": letter }))?;
        person.ask(
            "set",
            json!({
                "name": format!("Name of {}", person.identity),
                "metadata": format!("about {}", person.identity),
                "attributes": { "mood": person.identity },
            }),
        )?;
    }

    for (from, to) in pairs(&people) {
        let of = |event: &Value| event["identity"] == from.identity.as_str();
        for (how, reliable) in [("reliable", true), ("lossy", false)] {
            let text = format!("{how} from {}", from.identity);
            to.saw("data", |e| {
                of(e) && e["text"] == text.as_str() && e["topic"] == "news" && e["reliable"] == reliable
            })?;
        }
        to.saw("text", |event| of(event) && event["text"] == letter.as_str())?;
        to.knows(&from.identity, |known| {
            known["name"] == format!("Name of {}", from.identity)
                && known["metadata"] == format!("about {}", from.identity)
                && known["attributes"]["mood"] == from.identity.as_str()
        })?;
        let answer = from.ask("rpc", json!({ "to": to.identity, "method": "greet", "payload": "hello" }))?;
        promise(answer == format!("{} said hello", from.identity), || {
            format!("{} answered {answer}", to.identity)
        })?;
    }
    Ok(())
}

fn data_goes_only_where_meant(world: &mut World) -> Step {
    let people = everybody(world, Path::Single)?;
    let [ada, ben, eve] = people.as_slice() else { return Ok(()) };

    ada.send("for ben", "private", Delivery::Reliable, &[ben])?;
    ada.send("for all", "public", Delivery::Reliable, &[])?;

    ben.saw("data", is("text", "for ben"))?;
    eve.saw("data", is("text", "for all"))?;
    let overheard = eve.events_since(0, "data").into_iter().find(|event| event["topic"] == "private");
    promise(overheard.is_none(), || format!("somebody else got it: {overheard:?}"))?;
    let echo = ada.events_since(0, "data");
    promise(echo.is_empty(), || format!("the sender got it back: {echo:?}"))
}

fn reliable_data_arrives_in_order(world: &mut World) -> Step {
    for path in Path::BOTH {
        let people = everybody(world, path)?;
        let [ada, ben, eve] = people.as_slice() else { return Ok(()) };

        let asked: Step<Vec<_>> = (0..SEQUENCE)
            .map(|number| {
                ada.begin("send", json!({ "text": number.to_string(), "topic": "count", "reliable": true }))
            })
            .collect();
        for sent in asked? {
            sent.answer()?;
        }
        let big = "x".repeat(BIG_MESSAGE);
        ben.send(&big, "big", Delivery::Reliable, &[])?;

        let last = (SEQUENCE - 1).to_string();
        for person in [ben, eve] {
            person.saw("data", |event| event["topic"] == "count" && event["text"] == last.as_str())?;
            let got = person.events_since(0, "data").into_iter().filter(|event| event["topic"] == "count");
            let got: Vec<_> = got.filter_map(|event| event["text"].as_str()?.parse::<usize>().ok()).collect();
            promise(got == (0..SEQUENCE).collect::<Vec<_>>(), || {
                format!("{path}: {} got {got:?}", person.identity)
            })?;
        }
        for person in [ada, eve] {
            person.saw("data", |event| event["topic"] == "big" && event["text"] == big.as_str())?;
        }
    }
    Ok(())
}

/// Frames of a data track that are waited for.
const FRAMES: usize = 5;

fn data_tracks(world: &mut World, path: Path) -> Step {
    let room = world.room();
    let mut people = Vec::new();
    // The Node SDK has no data tracks yet.
    for sdk in [Sdk::Browser, Sdk::Python] {
        let person = world.person(sdk.name(), sdk)?;
        person.join(&room, path)?;
        people.push(person);
    }
    for (from, to) in pairs(&people) {
        to.knows(&from.identity, |_| true)?;
    }
    for person in &people {
        person.ask("publish_data_track", json!({ "name": "position", "text": person.identity }))?;
    }
    for (from, to) in pairs(&people) {
        let args = json!({ "from": from.identity, "name": "position", "frames": FRAMES });
        let texts = to.ask("read_data_track", args)?;
        let expected = json!(vec![from.identity.as_str(); FRAMES]);
        promise(texts == expected, || format!("{} read {texts} of {}", to.identity, from.identity))?;
    }
    Ok(())
}
