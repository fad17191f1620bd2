//! Calls through the relay: by choice, and where the network leaves nothing else; and coturn's own client against it.

use std::process::Command;

use serde_json::{Value, json};

use crate::Journey;
use crate::stage::failure::{Failure, Step, promise};
use crate::stage::network::Place;
use crate::stage::people::{Path, Person, Picture, Sdk};
use crate::stage::token::Token;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("turn::a_call_through_the_relay_over_udp", over_udp),
    ("turn::a_call_through_the_relay_over_tcp", over_tcp),
    ("turn::a_call_where_one_tls_port_is_all_there_is", over_tls),
    ("turn::the_relay_alone_serves_the_clients_of_coturn", coturn_clients),
];

fn over_udp(world: &mut World) -> Step {
    world.network.street()?;
    relayed_call(world, Place::Train, "udp")
}

fn over_tcp(world: &mut World) -> Step {
    world.network.street()?;
    world.network.nft(Place::Office, &wall("tcp dport 5349 reject with tcp reset"))?;
    relayed_call(world, Place::Office, "tcp")
}

fn over_tls(world: &mut World) -> Step {
    world.network.street()?;
    world.network.nft(
        Place::Office,
        &wall("tcp dport != { 7880, 5349 } ip daddr 198.18.0.0/24 reject with tcp reset"),
    )?;
    relayed_call(world, Place::Office, "tls")
}

/// Without UDP, and whatever else is said.
fn wall(rule: &str) -> String {
    format!(
        "table inet wall {{\n    chain out {{ type filter hook output priority 0; oif lo accept; meta l4proto udp drop; {rule}; }}\n    chain in {{ type filter hook input priority 0; iif lo accept; meta l4proto udp drop; }}\n}}\n"
    )
}

/// Two people who may use nothing but the relay see and hear each other.
fn relayed_call(world: &mut World, place: Place, protocol: &str) -> Step {
    for path in Path::BOTH {
        let room = world.room();
        let url = world.server.url();
        let ada = world.person_at(place, "ada", Sdk::Browser)?;
        let ben = world.person_at(place, "ben", Sdk::Browser)?;
        for person in [&ada, &ben] {
            let connect = json!({ "rtcConfig": { "iceTransportPolicy": "relay" } });
            let token = Token::join(&room, &person.identity).mint();
            let single = path == Path::Single;
            person
                .ask("join", json!({ "url": url, "token": token, "single": single, "connect": connect }))?;
            person.speak()?;
            person.film(Picture::PLAIN)?;
        }
        ada.watch(&ben, 30)?;
        ben.watch(&ada, 30)?;
        ada.hear(&ben)?;
        let transports = transports(&ada)?;
        let relayed = |t: &Value| t["localType"] == "relay" && t["relay"] == protocol;
        promise(!transports.is_empty() && transports.iter().all(relayed), || {
            format!("{path}: {transports:?}")
        })?;
        for person in [&ada, &ben] {
            person.leave()?;
        }
    }
    Ok(())
}

/// The transports in use.
fn transports(person: &Person) -> Step<Vec<Value>> {
    let mut all = person.ask("transports", json!({}))?.as_array().cloned().unwrap_or_default();
    all.retain(|transport| transport["dtls"] == "connected");
    Ok(all)
}

fn coturn_clients(world: &mut World) -> Step {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/peers/coturn.sh");
    let ip = world.server.address().ip().to_string();
    let output = Command::new("bash")
        .arg(script)
        .arg(world.server.sabha()?)
        .arg(ip)
        .output()
        .map_err(Failure::io("running coturn's clients"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() == Some(77) {
        return Err(Failure::Skipped("coturn's clients are not installed".into()));
    }
    promise(output.status.success(), || said)
}
