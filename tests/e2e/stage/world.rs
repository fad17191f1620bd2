//! The world of a run: the network, the server, the programs that play people, and who is there now.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::{Failure, Step, promise};
use super::network::{Network, Place};
use super::people::{Person, Sdk};
use super::program::Program;
use super::report::Report;
use super::server::Server;
use super::token::{API_KEY, API_SECRET};

/// How many lines of a failed journey are shown at once; all of them are in its file.
const SHOWN_MAX: usize = 30;
/// The port of HTTP and WebSocket.
const PORT: u16 = 7880;

/// The world of a run.
pub(crate) struct World {
    pub(crate) network: Network,
    pub(crate) server: Server,
    pub(crate) report: Report,
    /// Where logs and pictures go.
    pub(crate) out: PathBuf,
    programs: BTreeMap<(&'static str, Place), Arc<Program>>,
    people: Vec<Rc<Person>>,
    people_ever: u32,
    rooms_ever: u32,
}

impl World {
    pub(crate) fn new() -> Step<Self> {
        let out = home().join("out");
        fs::create_dir_all(&out).map_err(Failure::io("creating the folder for logs"))?;
        let network = Network::here();
        let address = address(&network)?;
        let server = Server::start(address, &out)?;
        let report = Report::default();
        let (programs, people) = (BTreeMap::new(), Vec::new());
        Ok(Self { network, server, report, out, programs, people, people_ever: 0, rooms_ever: 0 })
    }

    /// A room that no journey had before.
    pub(crate) fn room(&mut self) -> String {
        self.rooms_ever += 1;
        format!("room-{}", self.rooms_ever)
    }

    /// Somebody in the park.
    pub(crate) fn person(&mut self, identity: &str, sdk: Sdk) -> Step<Rc<Person>> {
        self.person_at(Place::Park, identity, sdk)
    }

    pub(crate) fn person_at(&mut self, place: Place, identity: &str, sdk: Sdk) -> Step<Rc<Person>> {
        let url = self.server.url();
        self.person_through(place, identity, sdk, &url)
    }

    /// Somebody who reaches the server by another address than its own.
    pub(crate) fn person_through(
        &mut self,
        place: Place,
        identity: &str,
        sdk: Sdk,
        url: &str,
    ) -> Step<Rc<Person>> {
        self.people_ever += 1;
        let who = format!("{identity}#{}", self.people_ever);
        let program = self.program(sdk.name(), place)?;
        let person = Rc::new(Person::new(identity, sdk, program, who, url.to_owned()));
        self.people.push(Rc::clone(&person));
        Ok(person)
    }

    /// Asks a server SDK to call the room service.
    pub(crate) fn service(&mut self, sdk: Sdk, method: &str, request: Value) -> Step<Value> {
        let program =
            self.program(if sdk == Sdk::Python { "service.py" } else { "service.mjs" }, Place::Park)?;
        let url = format!("http://{}", self.server.address());
        let args = json!({ "url": url, "key": API_KEY, "secret": API_SECRET, "request": request });
        program.ask("service", method, &args)?.answer()
    }

    /// The program that plays people on an SDK at a place; started when first needed, and again when it died.
    fn program(&mut self, name: &'static str, place: Place) -> Step<Arc<Program>> {
        if let Some(program) = self.programs.get(&(name, place)).filter(|program| program.alive()) {
            return Ok(Arc::clone(program));
        }
        if place != Place::Park {
            self.network.street()?;
        }
        let log = File::create(self.out.join(format!("{name}-{place:?}.log")))
            .map_err(Failure::io("creating a log"))?;
        let (interpreter, file) = match name {
            "browser" => (PathBuf::from("node"), "peers/browser.mjs"),
            "node" => (PathBuf::from("node"), "peers/node.mjs"),
            "python" => (home().join(".venv/bin/python"), "peers/python.py"),
            "service.py" => (home().join(".venv/bin/python"), "peers/service.py"),
            _ => (PathBuf::from("node"), "peers/service.mjs"),
        };
        let mut command = self.network.command(place, &interpreter.to_string_lossy());
        command.arg(home().join(file)).env("SABHA_ORIGIN", format!("http://{}", self.server.address()));
        let program = Program::start(name, command, log)?;
        self.programs.insert((name, place), Arc::clone(&program));
        Ok(program)
    }

    /// Writes down what happened to everybody in a journey that failed, and shows how it ended.
    pub(crate) fn tell(&self, journey: &str) {
        let story: Vec<_> =
            self.people.iter().flat_map(|person| person.story()).map(|event| event.to_string()).collect();
        println!("the end of {journey}:");
        let said = self.server.log();
        let said: Vec<_> = said.lines().map(str::to_owned).collect();
        for lines in [&story, &said] {
            let from = lines.len().saturating_sub(SHOWN_MAX);
            lines[from..].iter().for_each(|line| println!("    {line}"));
        }
        let path = self.out.join(format!("{}.story.jsonl", journey.replace("::", "-")));
        fs::write(path, story.join("\n")).unwrap_or_default();
    }

    /// Ends a journey: everybody leaves.
    pub(crate) fn disband(&mut self) {
        let people = std::mem::take(&mut self.people);
        let leaving: Vec<_> = people.iter().filter_map(|person| person.dismiss().ok()).collect();
        for asked in leaving {
            // Somebody who never came cannot leave.
            drop(asked.answer());
        }
        for place in [Place::Train, Place::Office] {
            if self.programs.keys().any(|(_, at)| *at == place) {
                self.network.clear(place).unwrap_or_default();
            }
        }
    }

    /// Runs a command of the server's binary and gives its exit code and everything it said.
    pub(crate) fn sabha(&self, words: &[&str]) -> Step<(i32, String)> {
        let output =
            Command::new(self.server.sabha()?).args(words).output().map_err(Failure::io("running sabha"))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned()))
    }

    /// No journey may cost the server a panic.
    pub(crate) fn server_is_sound(&self) -> Step {
        let log = self.server.log();
        let panic = log.lines().find(|line| line.contains("panicked at") || line.starts_with("panic:"));
        promise(panic.is_none(), || format!("the server panicked: {}", panic.unwrap_or_default()))
    }
}

/// The folder of the journeys.
pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e")
}

fn address(network: &Network) -> Step<SocketAddr> {
    let Ok(url) = env::var("E2E_URL") else { return Ok((network.server(), PORT).into()) };
    let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host).trim_end_matches('/');
    let mut found = host.to_socket_addrs().map_err(Failure::io(&format!("finding {host}")))?;
    found.next().ok_or_else(|| Failure::Broken(format!("{host} has no address")))
}
