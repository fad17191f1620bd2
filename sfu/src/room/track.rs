//! A published track and its encodings.
//!
//! Invariants:
//! - an encoding is fed by one SSRC at a time, and one more for its retransmissions;
//! - `news` holds what arrived since the last flush, and nothing that was forwarded.

use std::time::{Duration, Instant};

use super::{rates::Rates, speakers::Voice};
use crate::{
    forward::{
        frame::Table,
        keyframe::KeyframeRequests,
        layers::{Flowing, LAYERS_MAX},
        nack::Nacks,
        pool::Pool,
        reception::Reception,
        ring::{CAPACITY_AUDIO, CAPACITY_VIDEO, Ring},
        wall::SenderClock,
    },
    ids::TrackId,
    params::{Delivery, Encoding, MediaKind, PayloadFormat, Speech, TrackParameters},
    units::Ssrc,
};

/// An encoding is silent after so long while its siblings flow: its publisher turned it off.
const SILENCE_AMONG_SIBLINGS: Duration = Duration::from_millis(1_500);
/// A track is silent after so long: muted, or a still screen would at least repeat itself.
const SILENCE: Duration = Duration::from_secs(5);

/// What arrived since the last flush, in the order of sequence numbers once it is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct News {
    pub(crate) seq: u64,
    pub(crate) kind: NewsKind,
}

/// What stands under a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NewsKind {
    /// A packet in the ring where a subscriber can begin.
    Entry,
    /// Any other packet in the ring.
    Packet,
    /// Nothing but padding.
    Hole,
}

/// Whether packets of an encoding come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They do; the last came at this time.
    Since(Instant),
    /// None came, or none for long.
    Silent,
}

/// One encoding (RFC 8853).
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) encoding: Encoding,
    pub(crate) primary: Option<Ssrc>,
    pub(crate) repair: Option<Ssrc>,
    pub(crate) ring: Ring,
    pub(crate) news: Vec<News>,
    /// Where in the sorted news a subscriber can begin.
    pub(crate) entry: Option<usize>,
    /// The highest sequence number heard.
    pub(crate) highest: Option<u64>,
    pub(crate) format: Option<PayloadFormat>,
    pub(crate) reception: Reception,
    pub(crate) rates: Rates,
    pub(crate) nacks: Nacks,
    pub(crate) keyframes: KeyframeRequests,
    pub(crate) clock: Option<SenderClock>,
    pub(crate) flow: Flow,
    /// The decode targets, when dependency descriptors tell them.
    pub(crate) table: Option<Table>,
}

impl Layer {
    fn new(encoding: Encoding, kind: MediaKind) -> Self {
        let capacity = match kind {
            MediaKind::Audio => CAPACITY_AUDIO,
            MediaKind::Video => CAPACITY_VIDEO,
        };
        Self {
            encoding,
            primary: None,
            repair: None,
            ring: Ring::new(capacity),
            news: Vec::new(),
            entry: None,
            highest: None,
            format: None,
            reception: Reception::default(),
            rates: Rates::default(),
            nacks: Nacks::default(),
            keyframes: KeyframeRequests::default(),
            clock: None,
            flow: Flow::Silent,
            table: None,
        }
    }

    /// Another SSRC feeds this encoding: nothing of the old numbering means anything any more.
    pub(crate) fn reset(&mut self, pool: &mut Pool) {
        for packet in self.ring.drain() {
            pool.give(packet.into_buffer());
        }
        self.news.clear();
        self.entry = None;
        self.highest = None;
        self.reception = Reception::default();
        self.rates = Rates::default();
        self.nacks = Nacks::default();
        self.clock = None;
        self.table = None;
    }

    /// Puts the news in order before they are forwarded.
    pub(crate) fn sort_news(&mut self) {
        if !self.news.is_sorted() {
            self.news.sort_unstable();
        }
        self.entry = self.news.iter().position(|news| news.kind == NewsKind::Entry);
    }

    pub(crate) fn clear_news(&mut self) {
        self.news.clear();
        self.entry = None;
    }

    fn last_heard(&self) -> Option<Instant> {
        match self.flow {
            Flow::Since(at) => Some(at),
            Flow::Silent => None,
        }
    }
}

/// A published track.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    /// The key of the transport it arrives on.
    pub(crate) peer: usize,
    pub(crate) parameters: TrackParameters,
    pub(crate) delivery: Delivery,
    pub(crate) layers: Vec<Layer>,
    /// The keys of those who get it.
    pub(crate) subscriptions: Vec<usize>,
    /// A microphone's voice.
    pub(crate) voice: Option<Voice>,
    pub(crate) has_news: bool,
}

impl Track {
    pub(crate) fn new(id: TrackId, peer: usize, parameters: TrackParameters) -> Self {
        let mut track = Self {
            id,
            peer,
            parameters: TrackParameters { encodings: Vec::new(), ..parameters.clone() },
            delivery: Delivery::On,
            layers: Vec::new(),
            subscriptions: Vec::new(),
            voice: None,
            has_news: false,
        };
        track.set(parameters);
        track
    }

    /// Its parameters changed. An encoding that stays keeps what it holds.
    pub(crate) fn set(&mut self, mut parameters: TrackParameters) {
        if parameters.encodings.is_empty() {
            parameters.encodings.push(Encoding::default());
        }
        parameters.encodings.truncate(LAYERS_MAX);
        for (index, encoding) in parameters.encodings.iter().enumerate() {
            match self.layers.get_mut(index) {
                Some(layer) => layer.encoding = *encoding,
                None => self.layers.push(Layer::new(*encoding, parameters.kind)),
            }
        }
        self.voice = match parameters.speech {
            Speech::Counts => Some(self.voice.take().unwrap_or_default()),
            Speech::Ignored => None,
        };
        self.parameters = parameters;
    }

    /// The encodings that flow.
    pub(crate) fn flowing(&self) -> Flowing {
        let numbered = (0..).zip(&self.layers);
        let flows = numbered.filter(|(_, layer)| layer.flow != Flow::Silent);
        flows.fold(Flowing::default(), |flowing, (index, _)| flowing.with(index))
    }

    /// The encodings that fell silent since this was last asked.
    pub(crate) fn take_silent(&mut self, now: Instant) -> Vec<u8> {
        let latest = self.layers.iter().filter_map(Layer::last_heard).max();
        let mut silent = Vec::new();
        for (index, layer) in (0..).zip(&mut self.layers) {
            let Some(heard) = layer.last_heard() else { continue };
            let sibling_flows =
                latest.is_some_and(|latest| latest.saturating_duration_since(heard) > SILENCE_AMONG_SIBLINGS);
            if sibling_flows || now.saturating_duration_since(heard) > SILENCE {
                layer.flow = Flow::Silent;
                layer.nacks.clear();
                silent.push(index);
            }
        }
        silent
    }

    /// When a request for a key frame or for lost packets is to be sent.
    pub(crate) fn feedback_deadline(&self, now: Instant) -> Option<Instant> {
        let keyframes = self.layers.iter().filter_map(|layer| layer.keyframes.deadline(now));
        let nacks = self.layers.iter().filter_map(|layer| layer.nacks.deadline());
        keyframes.chain(nacks).min()
    }
}
