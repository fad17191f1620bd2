//! The room service, through the official server SDKs of Node and Python and through plain HTTP.

use serde_json::{Value, json};

use super::calls::is;
use crate::Journey;
use crate::stage::failure::{Failure, Step, promise};
use crate::stage::http;
use crate::stage::people::{Path, Picture, Sdk};
use crate::stage::token::Token;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("service::rooms_are_created_listed_changed_and_deleted", |world| both(world, rooms)),
    ("service::participants_are_listed_changed_and_removed", |world| both(world, participants)),
    ("service::tracks_are_muted_and_subscriptions_changed", |world| both(world, tracks)),
    ("service::data_is_sent_to_those_meant", |world| both(world, data)),
    ("service::what_is_not_there_is_said_so", |world| both(world, errors)),
    ("service::permissions_are_given_and_taken", permissions),
    ("service::the_wire_is_as_every_twirp_client_expects", the_wire),
];

const SDKS: [Sdk; 2] = [Sdk::Node, Sdk::Python];

fn both(world: &mut World, journey: fn(&mut World, Sdk) -> Step) -> Step {
    for sdk in SDKS {
        journey(world, sdk).map_err(|error| match error {
            skipped @ Failure::Skipped(_) => skipped,
            other => Failure::Broken(format!("with the SDK for {}: {other}", sdk.name())),
        })?;
        world.disband();
    }
    Ok(())
}

fn rooms(world: &mut World, sdk: Sdk) -> Step {
    let name = world.room();
    let request = json!({ "name": name, "emptyTimeout": 77, "departureTimeout": 8, "maxParticipants": 9, "metadata": "first" });
    let created = world.service(sdk, "CreateRoom", request)?;
    let sid = created["sid"].as_str().unwrap_or_default().to_owned();
    promise(sid.starts_with("RM_"), || format!("{created}"))?;
    promise(
        created["emptyTimeout"] == 77 && created["departureTimeout"] == 8 && created["maxParticipants"] == 9,
        || format!("{created}"),
    )?;
    promise(created["metadata"] == "first", || format!("{created}"))?;

    let again = world.service(sdk, "CreateRoom", json!({ "name": name }))?;
    promise(again["sid"] == sid.as_str(), || format!("created twice: {created} and {again}"))?;
    let listed = world.service(sdk, "ListRooms", json!({ "names": [name, "no such room"] }))?;
    promise(names(&listed, "rooms", "name") == [name.as_str()], || format!("{listed}"))?;
    let all = world.service(sdk, "ListRooms", json!({}))?;
    promise(names(&all, "rooms", "name").contains(&name.as_str()), || format!("{all}"))?;

    let ada = world.person("ada", Sdk::Browser)?;
    ada.join(&name, Path::Single)?;
    let changed = world.service(sdk, "UpdateRoomMetadata", json!({ "room": name, "metadata": "second" }))?;
    promise(changed["metadata"] == "second", || format!("{changed}"))?;
    ada.saw("room_metadata", is("metadata", "second"))?;
    world.service(sdk, "DeleteRoom", json!({ "room": name }))?;
    ada.saw("disconnected", is("reason", "ROOM_DELETED"))?;
    let gone = world.service(sdk, "ListRooms", json!({ "names": [name] }))?;
    promise(names(&gone, "rooms", "name").is_empty(), || format!("{gone}"))
}

fn participants(world: &mut World, sdk: Sdk) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Python)?;
    ada.join(&room, Path::Single)?;
    ben.join(&room, Path::Dual)?;
    ada.saw("participant_connected", is("identity", "ben"))?;

    let listed = world.service(sdk, "ListParticipants", json!({ "room": room }))?;
    let mut identities = names(&listed, "participants", "identity");
    identities.sort_unstable();
    promise(identities == ["ada", "ben"], || format!("{listed}"))?;
    let found = world.service(sdk, "GetParticipant", json!({ "room": room, "identity": "ben" }))?;
    promise(found["identity"] == "ben" && found["state"] == "ACTIVE", || format!("{found}"))?;
    promise(found["sid"].as_str().is_some_and(|sid| sid.starts_with("PA_")), || format!("{found}"))?;

    let change = json!({ "room": room, "identity": "ben", "name": "Ben B.", "metadata": "tall", "attributes": { "hat": "red" } });
    let changed = world.service(sdk, "UpdateParticipant", change)?;
    promise(
        changed["name"] == "Ben B." && changed["metadata"] == "tall" && changed["attributes"]["hat"] == "red",
        || format!("{changed}"),
    )?;
    for person in [&ada, &ben] {
        person.saw("name", |event| event["identity"] == "ben" && event["name"] == "Ben B.")?;
        person.saw("metadata", |event| event["identity"] == "ben" && event["metadata"] == "tall")?;
        person
            .saw("attributes", |event| event["identity"] == "ben" && event["attributes"]["hat"] == "red")?;
    }

    world.service(sdk, "RemoveParticipant", json!({ "room": room, "identity": "ben" }))?;
    ben.saw("disconnected", is("reason", "PARTICIPANT_REMOVED"))?;
    ada.saw("participant_disconnected", is("identity", "ben")).map(drop)
}

fn tracks(world: &mut World, sdk: Sdk) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
    }
    let microphone = ada.speak()?;
    let camera = ada.film(Picture::PLAIN)?;
    ben.watch(&ada, 5)?;

    let mute = json!({ "room": room, "identity": "ada", "trackSid": microphone, "muted": true });
    let muted = world.service(sdk, "MutePublishedTrack", mute)?;
    promise(muted["track"]["sid"] == microphone.as_str() && muted["track"]["muted"] == true, || {
        format!("{muted}")
    })?;
    ben.saw("track_muted", is("sid", &microphone))?;
    ada.saw("track_muted", is("sid", &microphone))?;
    let unmute = json!({ "room": room, "identity": "ada", "trackSid": microphone, "muted": false });
    error(world, sdk, "MutePublishedTrack", unmute, "failed_precondition")?;

    let subscription =
        |on: bool| json!({ "room": room, "identity": "ben", "trackSids": [camera], "subscribe": on });
    world.service(sdk, "UpdateSubscriptions", subscription(false))?;
    ben.saw("track_unsubscribed", is("sid", &camera))?;
    let now = ben.now();
    world.service(sdk, "UpdateSubscriptions", subscription(true))?;
    ben.saw_since(now, "track_subscribed", is("sid", &camera))?;
    ben.watch(&ada, 5).map(drop)
}

fn data(world: &mut World, sdk: Sdk) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Node)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
    }
    // base64 of "for ben" and "for all"
    let private = json!({ "room": room, "data": "Zm9yIGJlbg==", "kind": "RELIABLE", "destinationIdentities": ["ben"], "topic": "news" });
    let public = json!({ "room": room, "data": "Zm9yIGFsbA==", "kind": "RELIABLE", "topic": "news" });
    world.service(sdk, "SendData", private)?;
    world.service(sdk, "SendData", public)?;

    ben.saw("data", |event| {
        event["text"] == "for ben" && event["topic"] == "news" && event["identity"] == ""
    })?;
    ben.saw("data", is("text", "for all"))?;
    ada.saw("data", is("text", "for all"))?;
    let overheard = ada.events_since(0, "data").into_iter().find(|event| event["text"] == "for ben");
    promise(overheard.is_none(), || format!("ada got what was for ben: {overheard:?}"))
}

fn errors(world: &mut World, sdk: Sdk) -> Step {
    let nowhere = "no-such-room";
    error(world, sdk, "DeleteRoom", json!({ "room": nowhere }), "not_found")?;
    error(world, sdk, "UpdateRoomMetadata", json!({ "room": nowhere, "metadata": "x" }), "not_found")?;
    error(world, sdk, "GetParticipant", json!({ "room": nowhere, "identity": "ada" }), "not_found")?;
    error(world, sdk, "RemoveParticipant", json!({ "room": nowhere, "identity": "ada" }), "not_found")?;
    error(world, sdk, "SendData", json!({ "room": nowhere, "data": "eA==" }), "not_found")?;

    let room = world.room();
    world.service(sdk, "CreateRoom", json!({ "name": room }))?;
    let nobody = |more: Value| {
        let mut request = json!({ "room": room, "identity": "nobody" });
        if let (Some(request), Some(more)) = (request.as_object_mut(), more.as_object()) {
            request.extend(more.clone());
        }
        request
    };
    error(world, sdk, "GetParticipant", nobody(json!({})), "not_found")?;
    error(world, sdk, "RemoveParticipant", nobody(json!({})), "not_found")?;
    error(world, sdk, "UpdateParticipant", nobody(json!({ "metadata": "x" })), "not_found")?;
    error(
        world,
        sdk,
        "MutePublishedTrack",
        nobody(json!({ "trackSid": "TR_nothing", "muted": true })),
        "not_found",
    )?;
    let long = "x".repeat(513 * 1024);
    error(world, sdk, "UpdateRoomMetadata", json!({ "room": room, "metadata": long }), "invalid_argument")
}

fn permissions(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
    }
    let camera = ada.film(Picture::PLAIN)?;
    ben.watch(&ada, 5)?;
    let change = |identity: &str, publish: bool, subscribe: bool| json!({ "room": room, "identity": identity, "permission": { "canPublish": publish, "canSubscribe": subscribe, "canPublishData": publish } });

    world.service(Sdk::Node, "UpdateParticipant", change("ada", false, true))?;
    ada.saw("permissions", |event| event["identity"] == "ada" && event["canPublish"] == false)?;
    ada.saw("local_track_unpublished", is("sid", &camera))?;
    ben.saw("track_unpublished", is("sid", &camera))?;

    let now = ada.now();
    world.service(Sdk::Node, "UpdateParticipant", change("ada", true, true))?;
    ada.saw_since(now, "permissions", |event| event["identity"] == "ada" && event["canPublish"] == true)?;
    let camera = ada.film(Picture::PLAIN)?;
    ben.watch(&ada, 5)?;

    world.service(Sdk::Node, "UpdateParticipant", change("ben", true, false))?;
    ben.saw("track_unsubscribed", is("sid", &camera))?;
    let now = ben.now();
    world.service(Sdk::Node, "UpdateParticipant", change("ben", true, true))?;
    ben.saw_since(now, "track_subscribed", is("sid", &camera))?;
    ben.watch(&ada, 5).map(drop)
}

fn the_wire(world: &mut World) -> Step {
    let server = world.server.address();
    let room = world.room();
    let admin = Token::with_video(
        "",
        &json!({ "roomCreate": true, "roomList": true, "roomAdmin": true, "room": room }),
    )
    .mint();
    let bearer = format!("Bearer {admin}");
    let call = |method: &str, authorization: &str, content: &str, body: &str| {
        let mut headers = vec![("Content-Type", content)];
        headers.extend((!authorization.is_empty()).then_some(("Authorization", authorization)));
        http::request(server, "POST", &format!("/twirp/livekit.RoomService/{method}"), &headers, body)
    };

    let created = call(
        "CreateRoom",
        &bearer,
        "application/json",
        &format!(r#"{{"name":"{room}","empty_timeout":60,"unknown_field":1}}"#),
    )?;
    promise(created.status == 200 && created.header("content-type") == "application/json", || {
        format!("{created:?}")
    })?;
    let camel = call(
        "CreateRoom",
        &bearer,
        "application/json;charset=UTF-8",
        &format!(r#"{{"name":"{room}","emptyTimeout":61}}"#),
    )?;
    promise(camel.status == 200, || format!("camelCase: {camel:?}"))?;

    let code = |answer: &http::Answer| {
        serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["code"].clone()
    };
    let missing = call("DeleteRoom", &bearer, "application/json", r#"{"room":"no-such-room"}"#)?;
    promise(missing.status == 404 && code(&missing) == "not_found", || format!("{missing:?}"))?;
    promise(missing.header("content-type") == "application/json", || {
        format!("the Node SDK reads only this: {missing:?}")
    })?;
    let stranger = call("ListRooms", "", "application/json", "{}")?;
    promise(stranger.status == 401 && code(&stranger) == "unauthenticated", || format!("{stranger:?}"))?;
    let other_room = call("ListParticipants", &bearer, "application/json", r#"{"room":"another"}"#)?;
    promise(other_room.status == 401 && code(&other_room) == "unauthenticated", || {
        format!("{other_room:?}")
    })?;
    let guest = format!("Bearer {}", Token::join(&room, "ada").mint());
    let guest = call("CreateRoom", &guest, "application/json", r#"{"name":"x"}"#)?;
    promise(guest.status == 401, || format!("a guest created a room: {guest:?}"))?;
    let bad = call("CreateRoom", &bearer, "application/json", "{")?;
    promise(bad.status == 400, || format!("broken JSON: {bad:?}"))?;
    let unknown = call("NoSuchMethod", &bearer, "application/json", "{}")?;
    promise(unknown.status == 404 && code(&unknown) == "bad_route", || format!("{unknown:?}"))
}

/// Calls what must fail and checks the Twirp code that the SDK reports.
fn error(world: &mut World, sdk: Sdk, method: &str, request: Value, expected: &str) -> Step {
    match world.service(sdk, method, request) {
        Err(Failure::Refused { code: Some(code), .. }) if code == expected => Ok(()),
        Err(Failure::Refused { code, error, .. }) => {
            Err(Failure::Broken(format!("{method}: {code:?} ({error}), not {expected}")))
        }
        Err(other) => Err(other),
        Ok(answer) => Err(Failure::Broken(format!("{method}: {answer}, not {expected}"))),
    }
}

fn names<'a>(answer: &'a Value, list: &str, field: &str) -> Vec<&'a str> {
    answer[list].as_array().into_iter().flatten().filter_map(|entry| entry[field].as_str()).collect()
}
