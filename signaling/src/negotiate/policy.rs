//! What a room and a client's software allow in a negotiation.

use std::collections::BTreeSet;

/// What may be negotiated with one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What the client may publish.
    pub publish: Codecs,
    /// What it may be sent.
    pub subscribe: Codecs,
    /// Which codecs of a published video are answered.
    pub answered: Offered,
    /// What becomes of an m-section whose subscription ended, in our own offers.
    pub reuse: Reuse,
    /// Whether descriptions carry the track ids that the client announced.
    pub cids: Cids,
    /// Whether our own offers have an application section.
    pub data: DataSection,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            publish: Codecs::default(),
            subscribe: Codecs::default(),
            answered: Offered::All,
            reuse: Reuse::SameSection,
            cids: Cids::Kept,
            data: DataSection::Offered,
        }
    }
}

/// A set of media types. RTX follows what it repairs and is not named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codecs(BTreeSet<String>);

impl Codecs {
    /// The set of these media types (`video/VP8`), whatever their case.
    pub fn new<'a>(mimes: impl IntoIterator<Item = &'a str>) -> Self {
        Self(mimes.into_iter().map(str::to_ascii_lowercase).collect())
    }

    /// The set without one.
    #[must_use]
    pub fn without(mut self, mime: &str) -> Self {
        self.0.remove(&mime.to_ascii_lowercase());
        self
    }

    /// Whether a media type is in it.
    #[must_use]
    pub fn contains(&self, mime: &str) -> bool {
        self.0.contains(&mime.to_ascii_lowercase())
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self::new([
            "audio/opus",
            "audio/red",
            "audio/PCMU",
            "audio/PCMA",
            "video/VP8",
            "video/VP9",
            "video/H264",
            "video/H265",
            "video/AV1",
        ])
    }
}

/// Which of the offered codecs of a published video an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// All that are enabled, the wanted one first.
    All,
    /// Only the wanted one, for Firefox on Linux and Android: it ignores the order.
    OnlyWanted,
}

/// What becomes of an m-section of ours when its subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// It turns inactive and carries another subscription later.
    SameSection,
    /// It is rejected and its line recycled with another mid, for Safari and clients of protocol 3 and below.
    AnotherSection,
}

/// Whether the track ids in a client's descriptions are those of its AddTrack requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cids {
    /// They are.
    Kept,
    /// Firefox writes its own.
    Rewritten,
}

/// Whether our own offers have an application section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataSection {
    /// They do: the transport opens the channels.
    Offered,
    /// They do not.
    Absent,
}
