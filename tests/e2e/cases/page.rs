//! The server's own page, as people use it.

use serde_json::json;

use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::people::{Person, Sdk};
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[("page::two_people_meet_talk_chat_and_leave", two_people_meet)];

fn two_people_meet(world: &mut World) -> Step {
    world.server.sabha()?;
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    let home = format!("http://{}/r/{room}", world.server.address());
    let picture = |name: &str| json!({ "path": world.out.join(format!("page-{name}.png")) });

    enter(&ada, json!({ "url": home, "viewport": { "width": 1280, "height": 800 } }), "Ada")?;
    enter(&ben, json!({ "url": home, "viewport": { "width": 390, "height": 844 } }), "Ben")?;
    for person in [&ada, &ben] {
        person.ask("elements", json!({ "id": "tile", "exactly": 2 }))?;
        person.ask("videos", json!({ "at_least": 2 }))?;
    }
    ada.ask("screenshot", picture("laptop"))?;
    ben.ask("screenshot", picture("phone"))?;

    ada.ask("click", json!({ "id": "toggle-chat" }))?;
    ada.ask("fill", json!({ "id": "chat-input", "value": "Good morning, Ben" }))?;
    ada.ask("click", json!({ "id": "chat-send" }))?;
    ben.ask("click", json!({ "id": "toggle-chat" }))?;
    ben.ask("see_text", json!({ "text": "Good morning, Ben" }))?;
    ada.ask("screenshot", picture("chat-laptop"))?;
    ben.ask("screenshot", picture("chat-phone"))?;
    // On a phone the chat covers everything else.
    ben.ask("click", json!({ "id": "close-panel" }))?;

    ben.ask("click", json!({ "id": "toggle-mic" }))?;
    ada.ask("elements", json!({ "id": "tile", "exactly": 1, "data": { "mic": "off" } }))?;
    ada.ask("screenshot", picture("muted"))?;

    ben.ask("click", json!({ "id": "leave" }))?;
    ben.ask("see", json!({ "id": "ended" }))?;
    ben.ask("screenshot", picture("ended"))?;
    ada.ask("elements", json!({ "id": "tile", "exactly": 1 }))?;
    let errors: Vec<_> =
        [&ada, &ben].iter().flat_map(|person| person.events_since(0, "page_error")).collect();
    promise(errors.is_empty(), || format!("the page threw: {errors:?}"))
}

fn enter(person: &Person, page: serde_json::Value, name: &str) -> Step {
    person.ask("open", page)?;
    person.ask("fill", json!({ "id": "join-name", "value": name }))?;
    person.ask("click", json!({ "id": "join-button" }))?;
    person.ask("see", json!({ "id": "call" })).map(drop)
}
