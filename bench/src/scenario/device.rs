//! What somebody sends: the figures of a camera, a screen or a microphone.

use serde::Deserialize;

/// Sound or pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Audio,
    Video,
}

/// What it is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    Camera,
    Screen,
    Microphone,
}

/// How it is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Codec {
    Vp8,
    H264,
    Opus,
}

/// One encoding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) rid: Option<String>,
    #[serde(default)]
    pub(crate) width: u16,
    #[serde(default)]
    pub(crate) height: u16,
    /// Pictures, or packets of sound, in a second.
    #[serde(default = "of_sound")]
    pub(crate) fps: u32,
    pub(crate) kbps: u32,
}

/// Opus packets of 20 ms.
const fn of_sound() -> u32 {
    50
}

/// What somebody sends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Device {
    pub(crate) kind: Kind,
    pub(crate) source: Source,
    pub(crate) codec: Codec,
    /// How many times the mean the largest ordinary picture has.
    #[serde(default = "lively")]
    pub(crate) burst: f64,
    /// How many times the mean a key frame has.
    #[serde(default = "whole")]
    pub(crate) keyframe: f64,
    /// From the lowest quality up.
    pub(crate) layers: Vec<Layer>,
}

const fn lively() -> f64 {
    1.3
}

const fn whole() -> f64 {
    6.0
}
