//! The official SDKs, unmodified, with one another and with the browser.

use serde_json::json;

use crate::Journey;
use crate::stage::failure::{Failure, Step, promise};
use crate::stage::people::{Codec, Path, Person, Picture, Sdk, moving};
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("sdks::every_sdk_sees_and_hears_every_other_vp8_one_connection", |world| {
        media(world, Codec::Vp8, Path::Single)
    }),
    ("sdks::every_sdk_sees_and_hears_every_other_vp8_two_connections", |world| {
        media(world, Codec::Vp8, Path::Dual)
    }),
    ("sdks::every_sdk_sees_and_hears_every_other_h264_one_connection", |world| {
        media(world, Codec::H264, Path::Single)
    }),
    ("sdks::every_sdk_sees_and_hears_every_other_h264_two_connections", |world| {
        media(world, Codec::H264, Path::Dual)
    }),
    ("sdks::the_two_ways_to_join_meet_in_one_room", the_two_ways_meet),
];

/// Everybody publishes sound and a picture; everybody watches and hears everybody else.
fn media(world: &mut World, codec: Codec, path: Path) -> Step {
    let room = world.room();
    let mut people = Vec::new();
    for sdk in Sdk::ALL {
        let person = world.person(sdk.name(), sdk)?;
        person.join(&room, path)?;
        people.push(person);
    }
    for person in &people {
        person.speak()?;
        person.film(Picture { codec, ..Picture::PLAIN })?;
    }
    for (from, to) in pairs(&people) {
        let (seeing, hearing) = (to.begin_watch(from, 20)?, to.begin_hear(from)?);
        let context = |error: Failure| {
            let got =
                to.ask("received", json!({ "from": from.identity, "kind": "video" })).unwrap_or_default();
            Failure::Broken(format!("{} from {}: {error}; video received: {got}", to.identity, from.identity))
        };
        let seen = seeing.answer().and_then(moving).map_err(context)?;
        hearing.answer().map_err(context)?;
        promise(seen["mime"].as_str().is_some_and(|mime| mime.eq_ignore_ascii_case(codec.mime())), || {
            format!("{} gets another codec from {}: {seen}", to.identity, from.identity)
        })?;
    }
    Ok(())
}

fn the_two_ways_meet(world: &mut World) -> Step {
    let room = world.room();
    let mut people = Vec::new();
    for (identity, sdk, path) in [
        ("browser-single", Sdk::Browser, Path::Single),
        ("browser-dual", Sdk::Browser, Path::Dual),
        ("python-single", Sdk::Python, Path::Single),
        ("node-dual", Sdk::Node, Path::Dual),
    ] {
        let person = world.person(identity, sdk)?;
        person.join(&room, path)?;
        person.speak()?;
        person.film(Picture::SMALL)?;
        people.push(person);
    }
    let mut watching = Vec::new();
    for (from, to) in pairs(&people) {
        watching.push(to.begin_watch(from, 10)?);
        watching.push(to.begin_hear(from)?);
    }
    watching.into_iter().try_for_each(|seen| seen.answer().map(drop))
}

/// Every ordered pair of two different people.
pub(super) fn pairs<P: AsRef<Person>>(people: &[P]) -> impl Iterator<Item = (&Person, &Person)> {
    people.iter().flat_map(move |from| {
        let from = from.as_ref();
        people.iter().map(AsRef::as_ref).filter(|to| to.identity != from.identity).map(move |to| (from, to))
    })
}
