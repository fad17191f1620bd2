//! What a token forbids does not happen, whatever the client tries.

use serde_json::json;

use super::calls::is;
use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::people::{Delivery, Path, Picture, Sdk, refused};
use crate::stage::token::Token;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("permissions::who_may_not_publish_cannot", who_may_not_publish_cannot),
    ("permissions::who_may_publish_one_source_publishes_no_other", one_source_only),
    ("permissions::who_may_not_subscribe_gets_nothing", who_may_not_subscribe_gets_nothing),
    ("permissions::who_may_not_send_data_is_not_heard", who_may_not_send_data_is_not_heard),
    ("permissions::who_may_not_rename_themselves_is_refused", who_may_not_rename),
    ("permissions::the_hidden_are_not_seen", the_hidden_are_not_seen),
    ("permissions::a_publisher_chooses_who_may_subscribe", a_publisher_chooses),
    ("permissions::a_full_room_lets_nobody_in", a_full_room),
    ("permissions::a_second_join_with_the_same_identity_replaces_the_first", the_second_replaces_the_first),
];

fn who_may_not_publish_cannot(world: &mut World) -> Step {
    let room = world.room();
    for (identity, sdk) in [("ada", Sdk::Browser), ("py", Sdk::Python)] {
        let listener = world.person(identity, sdk)?;
        let token = Token::join(&room, identity).grant("canPublish", false);
        listener.join_with(&token, Path::Single)?;
        refused(listener.speak())?;
    }
    Ok(())
}

fn one_source_only(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let token = Token::join(&room, "ada").grant("canPublishSources", json!(["microphone"]));
    ada.join_with(&token, Path::Single)?;

    ada.speak()?;
    refused(ada.film(Picture::PLAIN)).map(drop)
}

fn who_may_not_subscribe_gets_nothing(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person("ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Browser)?;
        let eve = world.person("eve", Sdk::Browser)?;
        eve.join_with(&Token::join(&room, "eve").grant("canSubscribe", false), path)?;
        ben.join(&room, path)?;
        ada.join(&room, path)?;
        let camera = ada.film(Picture::PLAIN)?;
        ben.watch(&ada, 5)?;

        // She knows of the track, she may publish herself, and she gets nothing.
        eve.saw("track_published", is("sid", &camera))?;
        eve.film(Picture::PLAIN)?;
        ben.watch(&eve, 5)?;
        let got = eve.events_since(0, "track_subscribed");
        promise(got.is_empty(), || format!("{path}: {got:?}"))?;
    }
    Ok(())
}

fn who_may_not_send_data_is_not_heard(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Node)?;
    let eve = world.person("eve", Sdk::Python)?;
    ben.join(&room, Path::Single)?;
    ada.join(&room, Path::Single)?;
    eve.join_with(&Token::join(&room, "eve").grant("canPublishData", false), Path::Single)?;

    // The SDK may refuse by itself; if it does not, the server drops what it sends.
    eve.send("unheard", "x", Delivery::Reliable, &[]).or_else(|error| refused::<()>(Err(error)).map(drop))?;
    // Eve's own metadata takes the way through the server after her data.
    eve.ask("set", json!({ "metadata": "after" }))?;
    ada.knows("eve", |known| known["metadata"] == "after")?;
    ben.send("heard", "x", Delivery::Reliable, &[])?;
    ada.saw("data", is("text", "heard"))?;
    let unheard = ada.events_since(0, "data").into_iter().find(|event| event["identity"] == "eve");
    promise(unheard.is_none(), || format!("{unheard:?}"))
}

fn who_may_not_rename(world: &mut World) -> Step {
    let room = world.room();
    let ben = world.person("ben", Sdk::Browser)?;
    ben.join(&room, Path::Single)?;
    for (identity, sdk) in [("ada", Sdk::Browser), ("py", Sdk::Python)] {
        let person = world.person(identity, sdk)?;
        let token = Token::join(&room, identity).grant("canUpdateOwnMetadata", false);
        person.join_with(&token, Path::Single)?;

        // The browser's SDK tells the refusal, Python's keeps it to itself.
        let asked = person.ask("set", json!({ "name": "Somebody else" }));
        if sdk == Sdk::Browser {
            refused(asked)?;
        }
        person.send("after", "x", Delivery::Reliable, &[])?;
        ben.saw("data", |event| event["identity"] == identity && event["text"] == "after")?;
        ben.knows(identity, |known| known["name"] == identity)?;
    }
    Ok(())
}

fn the_hidden_are_not_seen(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ghost = world.person("ghost", Sdk::Node)?;
    let ben = world.person("ben", Sdk::Browser)?;
    ada.join(&room, Path::Single)?;
    ghost.join_with(
        &Token::join(&room, "ghost").grant("hidden", true).grant("canPublish", false),
        Path::Single,
    )?;
    ben.join(&room, Path::Single)?;
    ada.saw("participant_connected", is("identity", "ben"))?;

    ben.film(Picture::PLAIN)?;
    ghost.watch(&ben, 5)?;
    for person in [&ada, &ben] {
        let known = person.ask("people", json!({}))?;
        let ghosts = known.as_array().is_some_and(|known| known.iter().any(|p| p["identity"] == "ghost"));
        promise(!ghosts, || format!("{} sees the hidden: {known}", person.identity))?;
    }
    Ok(())
}

fn a_publisher_chooses(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    let eve = world.person("eve", Sdk::Browser)?;
    for person in [&ada, &ben, &eve] {
        person.join(&room, Path::Single)?;
    }
    let camera = ada.film(Picture::PLAIN)?;
    ben.watch(&ada, 5)?;
    eve.watch(&ada, 5)?;

    let only_ben =
        json!({ "all": false, "permissions": [{ "participantIdentity": "ben", "allowAll": true }] });
    ada.ask("allow", only_ben)?;
    eve.saw("track_unsubscribed", is("sid", &camera))?;
    ben.watch(&ada, 5)?;
    let now = eve.now();
    ada.ask("allow", json!({ "all": true }))?;
    eve.saw_since(now, "track_subscribed", is("sid", &camera))?;
    eve.watch(&ada, 5).map(drop)
}

fn a_full_room(world: &mut World) -> Step {
    let room = world.room();
    world.service(Sdk::Node, "CreateRoom", json!({ "name": room, "maxParticipants": 1 }))?;
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    ada.join(&room, Path::Single)?;

    refused(ben.join(&room, Path::Single))?;
    ada.leave()?;
    ben.join(&room, Path::Single).map(drop)
}

fn the_second_replaces_the_first(world: &mut World) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let ben = world.person("ben", Sdk::Browser)?;
        let first = world.person("ada", Sdk::Browser)?;
        let second = world.person("ada", Sdk::Python)?;
        ben.join(&room, path)?;
        first.join(&room, path)?;
        first.film(Picture::PLAIN)?;
        ben.watch(&first, 5)?;

        let now = ben.now();
        let joined = second.join(&room, path)?;
        first.saw("disconnected", is("reason", "DUPLICATE_IDENTITY"))?;
        let camera = second.film(Picture::PLAIN)?;
        ben.saw_since(now, "track_subscribed", is("sid", &camera))?;
        ben.watch(&second, 5)?;
        let ada = ben.knows("ada", |known| known["sid"] == joined["sid"])?;
        promise(ada["tracks"].as_array().is_some_and(|tracks| tracks.len() == 1), || {
            format!("{path}: {ada}")
        })?;
    }
    Ok(())
}
