//! The SSRCs a client sends, and what each of them is.
//!
//! Invariants:
//! - what an SSRC is is believed only of a packet that was authentic;
//! - an SSRC keeps its replay window for the life of the transport, whatever track it feeds;
//! - an SSRC that another one took over from never takes back.

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{formats::Meaning, track::Track};
use crate::{
    params::{Codec, Extension, ExtensionMap, MediaKind},
    rtp,
    srtp::ReplayWindow,
    units::{Mid, Rid, Ssrc},
};

/// SSRCs of one transport over its life. Higher: more republishing in one session. Lower: less memory for a client
/// that makes SSRCs up.
const STREAMS_MAX: usize = 1_024;

/// Whether an SSRC carries media or its retransmissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Repair,
}

/// What an SSRC feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The track's key.
    pub(crate) track: usize,
    pub(crate) layer: u8,
    pub(crate) role: Role,
}

/// What is known of an SSRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Binding {
    /// Nothing yet.
    #[default]
    Unknown,
    /// What it feeds.
    To(Bound),
    /// It fed something that another SSRC feeds, or that has ended.
    Retired,
}

/// One SSRC.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) window: ReplayWindow,
    pub(crate) binding: Binding,
}

/// The SSRCs of one transport.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    by_ssrc: FxHashMap<Ssrc, Stream>,
}

impl Streams {
    pub(crate) fn get(&self, ssrc: Ssrc) -> Option<&Stream> {
        self.by_ssrc.get(&ssrc)
    }

    pub(crate) fn get_mut(&mut self, ssrc: Ssrc) -> Option<&mut Stream> {
        self.by_ssrc.get_mut(&ssrc)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.by_ssrc.len() >= STREAMS_MAX
    }

    /// An SSRC's first authentic packet came.
    pub(crate) fn insert(&mut self, ssrc: Ssrc, stream: Stream) {
        self.by_ssrc.insert(ssrc, stream);
    }

    /// This SSRC feeds nothing from here on.
    pub(crate) fn retire(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.by_ssrc.get_mut(&ssrc) {
            stream.binding = Binding::Retired;
        }
    }

    /// What this SSRC fed has ended; it may feed something else.
    pub(crate) fn release(&mut self, ssrc: Ssrc) {
        if let Some(stream) = self.by_ssrc.get_mut(&ssrc) {
            stream.binding = Binding::Unknown;
        }
    }
}

/// How a packet says what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) ssrc: Ssrc,
    pub(crate) mid: Option<Mid>,
    pub(crate) rid: Option<Rid>,
    pub(crate) repaired: Option<Rid>,
    pub(crate) role: Role,
    pub(crate) codec: Codec,
}

impl Claim {
    /// `None` for a payload type that means nothing.
    pub(crate) fn read(header: &rtp::Header<'_>, meaning: Meaning, ids: &ExtensionMap) -> Option<Self> {
        let (role, format) = match meaning {
            Meaning::Unknown => return None,
            Meaning::Media(format) => (Role::Primary, format),
            Meaning::Repair(format) => (Role::Repair, format),
        };
        let name = |extension| {
            let value = header.extension(ids.id(extension)?)?;
            Rid::new(value)
        };
        Some(Self {
            ssrc: header.ssrc,
            mid: name(Extension::Mid),
            rid: name(Extension::Rid),
            repaired: name(Extension::RepairedRid),
            role,
            codec: format.codec,
        })
    }

    /// The track and encoding it means, by its SSRC as it was signalled (RFC 8843 §9.2), by its names, or
    /// because there is only one it can mean.
    pub(crate) fn resolve(&self, keys: &[usize], tracks: &Slab<Track>) -> Option<Bound> {
        let own = || keys.iter().filter_map(|key| Some((*key, tracks.get(*key)?)));
        self.by_ssrc(own()).or_else(|| match self.mid {
            Some(mid) => {
                let (key, track) = own().find(|(_, track)| track.parameters.mid == mid)?;
                self.within(key, track)
            }
            None => {
                let mut fitting = own().filter_map(|(key, track)| self.alone(key, track));
                let first = fitting.next()?;
                fitting.next().is_none().then_some(first)
            }
        })
    }

    fn by_ssrc<'a>(&self, tracks: impl Iterator<Item = (usize, &'a Track)>) -> Option<Bound> {
        for (key, track) in tracks {
            for (index, layer) in (0..).zip(&track.layers) {
                let role = match self.ssrc {
                    ssrc if layer.encoding.ssrc == Some(ssrc) => Role::Primary,
                    ssrc if layer.encoding.rtx_ssrc == Some(ssrc) => Role::Repair,
                    Ssrc(_) => continue,
                };
                return (role == self.role).then_some(Bound { track: key, layer: index, role });
            }
        }
        None
    }

    /// Which encoding of a track, by the name of the stream (RFC 8852).
    fn within(&self, key: usize, track: &Track) -> Option<Bound> {
        let name = match self.role {
            Role::Primary => self.rid,
            Role::Repair => self.repaired.or(self.rid),
        };
        let named =
            name.and_then(|rid| track.layers.iter().position(|layer| layer.encoding.rid == Some(rid)));
        let only = (track.layers.len() == 1).then_some(0);
        let layer = u8::try_from(named.or(only)?).ok()?;
        Some(Bound { track: key, layer, role: self.role })
    }

    /// A track that says nothing of SSRCs, of the right kind and not yet fed.
    fn alone(&self, key: usize, track: &Track) -> Option<Bound> {
        let kind = match self.codec {
            Codec::Opus | Codec::Red => MediaKind::Audio,
            Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => MediaKind::Video,
            Codec::Other => track.parameters.kind,
        };
        let bound = self.within(key, track)?;
        let layer = track.layers.get(usize::from(bound.layer))?;
        let fed = match self.role {
            Role::Primary => layer.primary.or(layer.encoding.ssrc),
            Role::Repair => layer.repair.or(layer.encoding.rtx_ssrc),
        };
        (track.parameters.kind == kind && fed.is_none()).then_some(bound)
    }
}
