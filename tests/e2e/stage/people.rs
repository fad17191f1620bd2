//! A person: one identity in one room, on one SDK, with verbs that read like the journeys.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::failure::{Failure, Step, promise};
use super::program::{Asked, Program};
use super::token::Token;

/// The software a person uses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Sdk {
    Browser,
    Node,
    Python,
}

impl Sdk {
    pub(crate) const ALL: [Self; 3] = [Self::Browser, Self::Node, Self::Python];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Node => "node",
            Self::Python => "python",
        }
    }
}

/// How a client joins: `/rtc/v1` with one peer connection, or `/rtc` with two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Path {
    Single,
    Dual,
}

impl Path {
    pub(crate) const BOTH: [Self; 2] = [Self::Single, Self::Dual];
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "one connection",
            Self::Dual => "two connections",
        })
    }
}

/// A video codec, as the SDKs' options name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Codec {
    Vp8,
    H264,
    Vp9,
    Av1,
}

impl Codec {
    fn option(self) -> &'static str {
        match self {
            Self::Vp8 => "vp8",
            Self::H264 => "h264",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }

    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Vp8 => "video/VP8",
            Self::H264 => "video/H264",
            Self::Vp9 => "video/VP9",
            Self::Av1 => "video/AV1",
        }
    }
}

/// How a data packet travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Delivery {
    Reliable,
    Lossy,
}

/// A picture to publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picture {
    pub(crate) codec: Codec,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) fps: u32,
}

impl Picture {
    pub(crate) const HD: Self = Self { codec: Codec::Vp8, width: 1280, height: 720, fps: 30 };
    pub(crate) const PLAIN: Self = Self { codec: Codec::Vp8, width: 640, height: 360, fps: 20 };
    pub(crate) const SMALL: Self = Self { codec: Codec::Vp8, width: 320, height: 180, fps: 10 };
}

/// What one kind of track has received so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) at_ms: f64,
    pub(crate) lost: f64,
    pub(crate) frames: f64,
    pub(crate) freezes: f64,
    pub(crate) concealed: f64,
}

/// One identity in one room.
pub(crate) struct Person {
    pub(crate) identity: String,
    pub(crate) sdk: Sdk,
    program: Arc<Program>,
    /// The name at the program: unlike an identity, never used twice.
    who: String,
    url: String,
}

impl Person {
    pub(crate) fn new(identity: &str, sdk: Sdk, program: Arc<Program>, who: String, url: String) -> Self {
        Self { identity: identity.to_owned(), sdk, program, who, url }
    }

    pub(crate) fn begin(&self, verb: &str, args: Value) -> Step<Asked> {
        self.program.ask(&self.who, verb, &args)
    }

    pub(crate) fn ask(&self, verb: &str, args: Value) -> Step<Value> {
        self.begin(verb, args)?.answer()
    }

    pub(crate) fn join(&self, room: &str, path: Path) -> Step<Value> {
        self.join_with(&Token::join(room, &self.identity), path)
    }

    pub(crate) fn join_with(&self, token: &Token, path: Path) -> Step<Value> {
        self.begin_join(token, path)?.answer()
    }

    pub(crate) fn begin_join(&self, token: &Token, path: Path) -> Step<Asked> {
        self.begin_join_as(token, path, &json!({}))
    }

    /// Joins with options of the SDK's room.
    pub(crate) fn begin_join_as(&self, token: &Token, path: Path, options: &Value) -> Step<Asked> {
        let single = path == Path::Single;
        let args = json!({ "url": self.url, "token": token.mint(), "single": single, "options": options });
        self.begin("join", args)
    }

    pub(crate) fn leave(&self) -> Step {
        self.ask("leave", json!({})).map(drop)
    }

    /// Publishes a microphone; gives the track's sid.
    pub(crate) fn speak(&self) -> Step<String> {
        Ok(sid(&self.ask("publish_audio", json!({}))?))
    }

    /// Publishes a camera; gives the track's sid.
    pub(crate) fn film(&self, picture: Picture) -> Step<String> {
        let Picture { codec, width, height, fps } = picture;
        let args = json!({ "codec": codec.option(), "width": width, "height": height, "fps": fps });
        Ok(sid(&self.ask("publish_video", args)?))
    }

    /// Publishes a camera in all its layers; gives the track's sid.
    pub(crate) fn film_layers(&self, picture: Picture) -> Step<String> {
        let Picture { codec, width, height, fps } = picture;
        let args = json!({
            "codec": codec.option(), "width": width, "height": height, "fps": fps, "simulcast": true
        });
        Ok(sid(&self.ask("publish_video", args)?))
    }

    pub(crate) fn unpublish(&self, sid: &str) -> Step {
        self.ask("unpublish", json!({ "sid": sid })).map(drop)
    }

    pub(crate) fn begin_watch(&self, from: &Self, frames: u32) -> Step<Asked> {
        self.begin("watch", json!({ "from": from.identity, "frames": frames }))
    }

    /// Waits for so many more frames of somebody's moving picture.
    pub(crate) fn watch(&self, from: &Self, frames: u32) -> Step<Value> {
        moving(self.begin_watch(from, frames)?.answer()?)
    }

    pub(crate) fn begin_hear(&self, from: &Self) -> Step<Asked> {
        self.begin("hear", json!({ "from": from.identity }))
    }

    /// Waits for somebody's voice.
    pub(crate) fn hear(&self, from: &Self) -> Step<Value> {
        self.begin_hear(from)?.answer()
    }

    pub(crate) fn received(&self, from: &Self, kind: &str) -> Step<Received> {
        let seen = self.ask("received", json!({ "from": from.identity, "kind": kind }))?;
        let number = |name: &str| seen[name].as_f64().unwrap_or_default();
        Ok(Received {
            at_ms: number("at"),
            lost: number("lost"),
            frames: number("frames"),
            freezes: number("freezes"),
            concealed: number("concealed"),
        })
    }

    pub(crate) fn send(&self, text: &str, topic: &str, delivery: Delivery, to: &[&Self]) -> Step {
        let reliable = delivery == Delivery::Reliable;
        let to: Vec<_> = to.iter().map(|person| person.identity.as_str()).collect();
        self.ask("send", json!({ "text": text, "topic": topic, "reliable": reliable, "to": to })).map(drop)
    }

    /// A place in this person's events to wait from.
    pub(crate) fn now(&self) -> usize {
        self.program.events_so_far()
    }

    /// Waits for an event, from the beginning on.
    pub(crate) fn saw(&self, event: &str, wanted: impl Fn(&Value) -> bool) -> Step<Value> {
        self.program.event(&self.who, 0, event, wanted)
    }

    /// Waits for an event, from a place on.
    pub(crate) fn saw_since(&self, from: usize, event: &str, wanted: impl Fn(&Value) -> bool) -> Step<Value> {
        self.program.event(&self.who, from, event, wanted)
    }

    /// Waits until what this person knows of somebody is as wanted: news may come in one piece or in several.
    pub(crate) fn knows(&self, identity: &str, wanted: impl Fn(&Value) -> bool) -> Step<Value> {
        loop {
            let now = self.now();
            let known = self.ask("people", json!({}))?;
            let somebody = known.as_array().into_iter().flatten().find(|known| known["identity"] == identity);
            if let Some(somebody) = somebody.filter(|somebody| wanted(somebody)) {
                return Ok(somebody.clone());
            }
            let missing = || format!("{} knows only {known}, no such {identity}", self.identity);
            self.program.news(&self.who, now, &missing())?;
        }
    }

    /// The events of a name so far, from a place on.
    pub(crate) fn events_since(&self, from: usize, name: &str) -> Vec<Value> {
        let mut events = self.program.events(&self.who, from);
        events.retain(|event| event["event"] == name);
        events
    }

    /// Everything that happened to this person, for a failed journey's log.
    pub(crate) fn story(&self) -> Vec<Value> {
        self.program.events(&self.who, 0)
    }

    /// Leaves without ceremony at the end of a journey.
    pub(crate) fn dismiss(&self) -> Step<Asked> {
        self.begin(if self.sdk == Sdk::Browser { "close" } else { "leave" }, json!({}))
    }
}

/// Checks that a `watch` saw a picture that moves.
pub(crate) fn moving(seen: Value) -> Step<Value> {
    promise(seen["moved"].as_f64() > Some(0.0), || format!("the picture stands still: {seen}"))?;
    Ok(seen)
}

/// Frames a second that a `watch` saw.
pub(crate) fn fps(seen: &Value) -> f64 {
    seen["fps"].as_f64().unwrap_or_default()
}

pub(crate) fn millis(seen: &Value) -> Duration {
    Duration::from_secs_f64(seen["ms"].as_f64().unwrap_or_default().max(0.0) / 1000.0)
}

fn sid(published: &Value) -> String {
    published["sid"].as_str().unwrap_or_default().to_owned()
}

/// The refusal of a step that was meant to be refused.
pub(crate) fn refused<T: fmt::Debug>(step: Step<T>) -> Step<String> {
    match step {
        Err(Failure::Refused { error, .. }) => Ok(error),
        Err(other) => Err(other),
        Ok(value) => Err(Failure::Broken(format!("allowed, and it must not be: {value:?}"))),
    }
}
