//! A program that plays people: requests and events as lines of JSON over its standard input and output.
//!
//! Invariant: every wait ends by an answer, an event, the program's end, or a deadline.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failure::{Failure, Step};

/// How long an answer or an event may take. The longest honest one is a full reconnect.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// One running program.
pub(crate) struct Program {
    name: String,
    child: Mutex<Child>,
    stdin: Mutex<Option<ChildStdin>>,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    so_far: Mutex<SoFar>,
    news: Condvar,
}

#[derive(Default)]
struct SoFar {
    asked: u64,
    answers: BTreeMap<u64, Value>,
    events: Vec<Value>,
    ended: bool,
}

/// A request whose answer has not been taken.
#[must_use]
pub(crate) struct Asked {
    program: Arc<Program>,
    id: u64,
    who: String,
    verb: String,
}

impl Program {
    /// Starts a program and waits until it says that it is ready.
    pub(crate) fn start(name: &str, mut command: Command, log: File) -> Step<Arc<Self>> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(Failure::io(&format!("starting {name}")))?;
        let heard = Arc::new(Heard::default());
        if let Some(stdout) = child.stdout.take() {
            let heard = Arc::clone(&heard);
            thread::spawn(move || listen(BufReader::new(stdout), &heard));
        }
        let stdin = Mutex::new(child.stdin.take());
        let program = Arc::new(Self { name: name.to_owned(), child: Mutex::new(child), stdin, heard });
        program.event("", 0, "ready", |_| true)?;
        Ok(program)
    }

    pub(crate) fn alive(&self) -> bool {
        !lock(&self.heard.so_far).ended
    }

    /// Asks somebody of this program to do something.
    pub(crate) fn ask(self: &Arc<Self>, who: &str, verb: &str, args: &Value) -> Step<Asked> {
        let id = {
            let mut so_far = lock(&self.heard.so_far);
            so_far.asked += 1;
            so_far.asked
        };
        let line = json!({ "id": id, "who": who, "do": verb, "args": args });
        let mut stdin = lock(&self.stdin);
        let Some(stdin) = stdin.as_mut() else { return Err(Failure::Ended(self.name.clone())) };
        writeln!(stdin, "{line}").map_err(Failure::io(&format!("asking {}", self.name)))?;
        Ok(Asked { program: Arc::clone(self), id, who: who.to_owned(), verb: verb.to_owned() })
    }

    /// How many events there were so far: a place to wait from.
    pub(crate) fn events_so_far(&self) -> usize {
        lock(&self.heard.so_far).events.len()
    }

    /// The first event of somebody from a place on that is of a name and as wanted; waits for it.
    pub(crate) fn event(
        &self,
        who: &str,
        from: usize,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Step<Value> {
        let is = |event: &&Value| event["who"] == who && event["event"] == name && wanted(event);
        self.wait(&format!("{who} saw no `{name}`"), |so_far| {
            so_far.events.iter().skip(from).find(is).cloned()
        })
    }

    /// Waits until something happens to somebody, from a place on.
    pub(crate) fn news(&self, who: &str, from: usize, else_say: &str) -> Step {
        self.wait(else_say, |so_far| {
            so_far.events.iter().skip(from).any(|event| event["who"] == who).then_some(())
        })
    }

    /// Every event of somebody so far, from a place on.
    pub(crate) fn events(&self, who: &str, from: usize) -> Vec<Value> {
        let so_far = lock(&self.heard.so_far);
        so_far.events.iter().skip(from).filter(|event| event["who"] == who).cloned().collect()
    }

    /// Waits until what was heard so far satisfies.
    fn wait<T>(&self, else_say: &str, mut find: impl FnMut(&SoFar) -> Option<T>) -> Step<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut so_far = lock(&self.heard.so_far);
        loop {
            if let Some(found) = find(&so_far) {
                return Ok(found);
            }
            if so_far.ended {
                return Err(Failure::Ended(self.name.clone()));
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(Failure::TooLate(else_say.to_owned(), PATIENCE.as_secs()));
            };
            so_far = self.heard.news.wait_timeout(so_far, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(lock(&self.stdin).take()); // The programs end when their input does.
        let gone = self.wait("", |so_far| so_far.ended.then_some(()));
        let mut child = lock(&self.child);
        if gone.is_err() {
            child.kill().unwrap_or_default();
        }
        drop(child.wait());
    }
}

impl Asked {
    /// Waits for the answer.
    pub(crate) fn answer(self) -> Step<Value> {
        let Self { program, id, who, verb } = self;
        let mut answer =
            program.wait(&format!("{who} did not {verb}"), |so_far| so_far.answers.get(&id).cloned())?;
        if answer["error"].is_null() {
            return Ok(answer["ok"].take());
        }
        let error = answer["error"].as_str().unwrap_or("no reason given").to_owned();
        let code = answer["code"].as_str().map(str::to_owned);
        Err(Failure::Refused { who, verb, error, code })
    }
}

fn listen(lines: impl BufRead, heard: &Heard) {
    for line in lines.lines().map_while(Result::ok) {
        // The native part of an SDK may print lines of its own.
        let Ok(said) = serde_json::from_str::<Value>(&line) else { continue };
        let mut so_far = lock(&heard.so_far);
        match said["id"].as_u64() {
            Some(id) => drop(so_far.answers.insert(id, said)),
            None => so_far.events.push(said),
        }
        heard.news.notify_all();
    }
    lock(&heard.so_far).ended = true;
    heard.news.notify_all();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
