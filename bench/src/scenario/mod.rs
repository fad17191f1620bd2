//! Who does what in a run: read from TOML, the ones that come with the house or anybody's own.
//!
//! Invariant: a scenario that was read names only devices there are.

mod device;

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

pub(crate) use device::{Codec, Device, Kind, Layer, Source};

/// Name and text of what comes with the house.
const BUILT_IN: [(&str, &str); 10] = [
    ("livestream", include_str!("../../scenarios/livestream.toml")),
    ("livestream-video", include_str!("../../scenarios/livestream-video.toml")),
    ("audio", include_str!("../../scenarios/audio.toml")),
    ("meeting", include_str!("../../scenarios/meeting.toml")),
    ("meeting-plain", include_str!("../../scenarios/meeting-plain.toml")),
    ("rooms", include_str!("../../scenarios/rooms.toml")),
    ("screen", include_str!("../../scenarios/screen.toml")),
    ("storm", include_str!("../../scenarios/storm.toml")),
    ("churn", include_str!("../../scenarios/churn.toml")),
    ("idle", include_str!("../../scenarios/idle.toml")),
];
const DEVICES: &str = include_str!("../../scenarios/devices.toml");

/// Why there is no such scenario.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    #[error("no scenario {0}: there are {1}, or name a file")]
    Unknown(String, String),
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    #[error("{0}: {1}")]
    Malformed(String, toml::de::Error),
    #[error("{0}: there is no device {1}")]
    NoDevice(String, String),
}

/// A number that may grow with the size of the run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    Fixed(u32),
    Size(Size),
}

/// The word for the size of the run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Size {
    Size,
}

impl Count {
    pub(crate) const fn of(self, size: u32) -> u32 {
        match self {
            Self::Fixed(count) => count,
            Self::Size(Size::Size) => size,
        }
    }
}

/// What a receiver has on its screen.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// How many it shows in the best quality.
    pub(crate) large: usize,
    /// How many in the lowest; the others are not shown.
    pub(crate) small: usize,
    /// After how many seconds others are large.
    pub(crate) turn: f64,
}

/// People who do the same, in every room.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) count: Count,
    #[serde(default)]
    pub(crate) publish: Vec<String>,
    #[serde(default = "yes")]
    pub(crate) subscribe: bool,
    pub(crate) layout: Option<Layout>,
    /// Seconds after which one leaves and another comes.
    pub(crate) stay: Option<f64>,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    about: String,
    size: u32,
    #[serde(default = "one")]
    rooms: Count,
    #[serde(default = "calmly")]
    arrive: f64,
    people: Vec<Group>,
    #[serde(default)]
    devices: BTreeMap<String, Device>,
}

const fn one() -> Count {
    Count::Fixed(1)
}

/// People who come in every second, when nothing else is said.
const fn calmly() -> f64 {
    100.0
}

/// Who does what.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) about: String,
    /// What `size` is when nothing else is said.
    pub(crate) size: u32,
    pub(crate) rooms: Count,
    /// People who come in every second.
    pub(crate) arrive: f64,
    pub(crate) people: Vec<Group>,
    devices: BTreeMap<String, Device>,
}

impl Scenario {
    /// One that comes with the house, or a file.
    pub(crate) fn find(name: &str) -> Result<Self, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Self::read(name, text);
        }
        let path = Path::new(name);
        if path.extension().is_none_or(|extension| extension != "toml") {
            let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(ScenarioError::Unknown(name.to_owned(), known.join(", ")));
        }
        let text = fs::read_to_string(path).map_err(|e| ScenarioError::Unreadable(name.to_owned(), e))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self::read(&stem, &text)
    }

    /// All that come with the house.
    pub(crate) fn built_in() -> impl Iterator<Item = Self> {
        BUILT_IN.into_iter().filter_map(|(name, text)| Self::read(name, text).ok())
    }

    fn read(name: &str, text: &str) -> Result<Self, ScenarioError> {
        let malformed = |error| ScenarioError::Malformed(name.to_owned(), error);
        let text: Text = toml::from_str(text).map_err(malformed)?;
        let mut devices: BTreeMap<String, Device> = toml::from_str(DEVICES).map_err(malformed)?;
        devices.extend(text.devices);
        let named = text.people.iter().flat_map(|group| &group.publish);
        if let Some(unknown) = named.into_iter().find(|device| !devices.contains_key(*device)) {
            return Err(ScenarioError::NoDevice(name.to_owned(), unknown.clone()));
        }
        Ok(Self {
            name: name.to_owned(),
            about: text.about,
            size: text.size,
            rooms: text.rooms,
            arrive: text.arrive,
            people: text.people,
            devices,
        })
    }

    /// What a group sends.
    pub(crate) fn devices(&self, group: &Group) -> Vec<Device> {
        group.publish.iter().filter_map(|name| self.devices.get(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_of_the_house_is_read() {
        for (name, text) in BUILT_IN {
            let scenario = Scenario::read(name, text).unwrap();

            assert!(!scenario.people.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_device_that_nobody_described_is_an_error() {
        let text = "about = ''\nsize = 1\n[[people]]\nname = 'x'\ncount = 1\npublish = ['harp']";

        assert!(
            matches!(Scenario::read("x", text), Err(ScenarioError::NoDevice(_, device)) if device == "harp")
        );
    }
}
