//! Paths that change, break or were never there: another address, another port, no UDP at all.

use serde_json::{Value, json};

use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::network::Place;
use crate::stage::people::{Path, Person, Picture, Sdk};
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("roaming::a_rebound_nat_does_not_end_the_call", a_rebound_nat),
    ("roaming::a_changed_address_recovers_by_an_ice_restart", a_changed_address),
    ("roaming::a_dead_udp_path_recovers_when_it_comes_back", a_dead_udp_path),
    ("roaming::where_udp_is_blocked_media_goes_over_tcp", over_tcp),
];

/// The second address of the train.
const ELSEWHERE: &str = "198.18.0.33";
/// Where the NAT in front of the train seems to be after rebinding: far from any port a system chooses by itself.
const PORT_OFFSET: u16 = 1000;

fn a_rebound_nat(world: &mut World) -> Step {
    world.network.street()?;
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person_at(Place::Train, "ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Browser)?;
        call(&[&ada, &ben], &room, path)?;

        // From now on every datagram of hers leaves from, and is answered to, another port.
        let ports = local_ports(&ada)?;
        let mut rules = String::from(NAT);
        for port in ports {
            let other = port.wrapping_sub(PORT_OFFSET).max(1024);
            rules += &format!("add rule ip nat2 out udp sport {port} udp sport set {other}\n");
            rules += &format!("add rule ip nat2 in udp dport {other} udp dport set {port}\n");
        }
        world.network.nft(Place::Train, &rules)?;
        ada.watch(&ben, 40)?;
        ben.watch(&ada, 40)?;
        let rejoined = ada.events_since(0, "reconnecting");
        promise(rejoined.is_empty(), || format!("{path}: she joined anew"))?;
        world.network.clear(Place::Train)?;
        for person in [&ada, &ben] {
            person.leave()?;
        }
    }
    Ok(())
}

fn a_changed_address(world: &mut World) -> Step {
    world.network.street()?;
    let mut old = Place::Train.address().to_string();
    let mut new = ELSEWHERE.to_owned();
    for path in Path::BOTH {
        let room = world.room();
        let ada = world.person_at(Place::Train, "ada", Sdk::Browser)?;
        let ben = world.person("ben", Sdk::Browser)?;
        call(&[&ada, &ben], &room, path)?;

        let now = ada.now();
        world.network.ip(Place::Train, &format!("addr del {old}/24 dev road"))?;
        world.network.ip(Place::Train, &format!("addr add {new}/24 dev road"))?;
        ada.saw_since(now, "reconnected", |_| true)?;
        ada.watch(&ben, 20)?;
        ben.watch(&ada, 20)?;
        let transports = transports(&ada)?;
        promise(transports.iter().all(|t| t["local"] == new.as_str()), || format!("{path}: {transports:?}"))?;
        let rejoined = ada.events_since(now, "reconnecting");
        let how = if rejoined.is_empty() { "resumed" } else { "joined anew" };
        world.report.figure(format!("after a changed address, {path}"), how);
        promise(rejoined.is_empty(), || format!("{path}: she joined anew instead of restarting ICE"))?;
        for person in [&ada, &ben] {
            person.leave()?;
        }
        std::mem::swap(&mut old, &mut new);
    }
    Ok(())
}

fn a_dead_udp_path(world: &mut World) -> Step {
    world.network.street()?;
    let room = world.room();
    let ada = world.person_at(Place::Train, "ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    call(&[&ada, &ben], &room, Path::Single)?;

    let now = ada.now();
    world.network.nft(Place::Train, NO_UDP)?;
    ada.saw_since(now, "resuming", |_| true)?;
    world.network.clear(Place::Train)?;
    ada.saw_since(now, "reconnected", |_| true)?;
    ada.watch(&ben, 20)?;
    ben.watch(&ada, 20).map(drop)
}

fn over_tcp(world: &mut World) -> Step {
    world.network.street()?;
    world.network.nft(Place::Office, NO_UDP)?;
    for path in Path::BOTH {
        for sdk in [Sdk::Browser, Sdk::Python] {
            let room = world.room();
            let ada = world.person_at(Place::Office, "ada", sdk)?;
            let ben = world.person("ben", Sdk::Browser)?;
            call(&[&ada, &ben], &room, path)?;

            if sdk == Sdk::Browser {
                let transports = transports(&ada)?;
                promise(transports.iter().all(|t| t["protocol"] == "tcp"), || {
                    format!("{path}: {transports:?}")
                })?;
            }
            ada.hear(&ben)?;
            ben.hear(&ada)?;
            for person in [&ada, &ben] {
                person.leave()?;
            }
        }
    }
    Ok(())
}

/// Stateless, so that it is in force for what is under way. Before and behind anything that tracks connections.
const NAT: &str = "\
table ip nat2 {
    chain out { type filter hook postrouting priority 300; }
    chain in { type filter hook prerouting priority -300; }
}
";

const NO_UDP: &str = "\
table inet wall {
    chain out { type filter hook output priority 0; meta l4proto udp drop; }
    chain in { type filter hook input priority 0; meta l4proto udp drop; }
}
";

/// Everybody joins, speaks, films, and sees everybody.
fn call(people: &[&Person; 2], room: &str, path: Path) -> Step {
    for person in people {
        person.join(room, path)?;
        person.speak()?;
        person.film(Picture::PLAIN)?;
    }
    people[0].watch(people[1], 10)?;
    people[1].watch(people[0], 10).map(drop)
}

/// The transports in use.
fn transports(person: &Person) -> Step<Vec<Value>> {
    let mut all = person.ask("transports", json!({}))?.as_array().cloned().unwrap_or_default();
    all.retain(|transport| transport["dtls"] == "connected");
    Ok(all)
}

fn local_ports(person: &Person) -> Step<Vec<u16>> {
    let ports = transports(person)?
        .into_iter()
        .filter_map(|t| t["localPort"].as_u64())
        .filter_map(|port| port.try_into().ok());
    Ok(ports.collect())
}
