//! What choosing layers must know of a packet's frame, whatever told it: a dependency descriptor, or the payload.
//!
//! Invariant: a descriptor that is there and understood counts alone: it is right also where the payload is encrypted.

use crate::{
    codec::{
        Layers,
        dependency::{Descriptor, Indications, Needs, Structure},
        vp8, vp9,
    },
    forward::layers::Target,
};

/// RTP Payload Format For AV1, §A.8.2: decode targets have five bits.
const TARGETS_MAX: usize = 32;

/// The frame of a packet: a picture, or one spatial layer of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) layers: Layers,
    pub(crate) place: Place,
    pub(crate) entry: Entry,
    /// What its dependency descriptor says.
    pub(crate) described: Option<Described>,
}

/// Where in its frame a packet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// What a receiver of fewer layers can do with a frame, when its payload tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Nothing is told: layers are not told apart.
    #[default]
    Untold,
    /// It can go on with what it has.
    Nowhere,
    /// It can go up to this frame's temporal layer.
    Temporal,
    /// It can begin with this frame's spatial layer, if it has those below: no earlier picture is needed.
    Spatial,
}

/// What a dependency descriptor says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) number: u16,
    pub(crate) indications: Indications,
    pub(crate) needs: Needs,
    /// Which table of targets the indications are about.
    pub(crate) table: u8,
}

impl Frame {
    pub(crate) fn of_vp8(found: &vp8::Descriptor) -> Self {
        let Some(temporal) = found.temporal_layer else { return Self::default() };
        let is_first = found.part != vp8::Part::Rest;
        let entry = match found.part {
            vp8::Part::KeyframeStart => Entry::Spatial,
            vp8::Part::InterframeStart if found.layer_sync => Entry::Temporal,
            vp8::Part::InterframeStart | vp8::Part::Rest => Entry::Nowhere,
        };
        Self {
            layers: Layers { spatial: 0, temporal },
            place: Place { is_first, is_last: false },
            entry,
            described: None,
        }
    }

    pub(crate) fn of_vp9(found: &vp9::Descriptor) -> Self {
        let entry = match (found.needs_pictures(), found.switches_up()) {
            (false, _) => Entry::Spatial,
            (true, true) => Entry::Temporal,
            (true, false) => Entry::Nowhere,
        };
        let place = Place { is_first: found.starts_frame(), is_last: found.ends_frame() };
        Self { layers: found.layers, place, entry, described: None }
    }
}

/// The decode targets of an encoding, as its last structure has them.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) structure: Box<Structure>,
    /// Another structure has another number.
    pub(crate) id: u8,
    /// A bit for each target whose frames are being sent.
    active: u32,
    layers: [Layers; TARGETS_MAX],
    /// The frame that last said something about all that follow.
    newest: u16,
}

impl Table {
    pub(crate) fn new(structure: Box<Structure>, newest: u16, before: Option<&Self>) -> Self {
        let mut layers = [Layers::default(); TARGETS_MAX];
        for (target, slot) in (0..structure.targets()).zip(&mut layers) {
            *slot = structure.target_layers(target);
        }
        let same = before.filter(|before| before.structure == structure);
        let id = same.map_or(before.map_or(0, |before| before.id.wrapping_add(1)), |same| same.id);
        Self { active: all(structure.targets()), structure, id, layers, newest }
    }

    /// Reads a frame's descriptor against the structure it belongs to, and learns from it. `None`: it cannot be understood.
    pub(crate) fn read(known: &mut Option<Self>, value: &[u8]) -> Option<(Frame, KeyFrame)> {
        let mut found = Descriptor::parse(value, known.as_ref().map(|table| table.structure.as_ref()))?;
        let key = if found.starts_keyframe() { KeyFrame::Begins } else { KeyFrame::No };
        let is_newer = known.as_ref().is_none_or(|table| is_after(found.frame, table.newest));
        if let Some(structure) = found.structure.take_if(|_| is_newer) {
            *known = Some(Self::new(structure, found.frame, known.as_ref()));
        }
        let table = known.as_mut()?;
        if let Some(active) = found.active_targets.filter(|_| !is_after(table.newest, found.frame)) {
            table.active = active & all(table.structure.targets());
            table.newest = found.frame;
        }
        let frame = Frame {
            layers: found.layers(&table.structure)?,
            place: Place { is_first: found.starts_frame, is_last: found.ends_frame },
            entry: Entry::Untold,
            described: Some(Described {
                number: found.frame,
                indications: found.indications(&table.structure)?,
                needs: found.needs(&table.structure)?,
                table: table.id,
            }),
        };
        Some((frame, key))
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = u8> + use<> {
        0..self.structure.targets()
    }

    /// The highest layers a target needs.
    pub(crate) fn layers(&self, target: u8) -> Layers {
        self.layers.get(usize::from(target)).copied().unwrap_or_default()
    }

    pub(crate) fn is_active(&self, target: u8) -> bool {
        self.active.checked_shr(u32::from(target)).is_some_and(|bits| bits & 1 != 0)
    }

    /// The highest spatial layer of the targets that are sent.
    pub(crate) fn highest(&self) -> Layers {
        let sent = self.targets().filter(|target| self.is_active(*target));
        sent.map(|target| self.layers(target)).fold(Layers::default(), |most, layers| Layers {
            spatial: most.spatial.max(layers.spatial),
            temporal: most.temporal.max(layers.temporal),
        })
    }

    /// The target to aim for: the best of those that are sent and within the goal, or else the least of those sent.
    pub(crate) fn aim(&self, goal: Target) -> Option<u8> {
        let sent = || self.targets().filter(|target| self.is_active(*target));
        let rank = |target: &u8| {
            let Layers { spatial, temporal } = self.layers(*target);
            (spatial, temporal)
        };
        sent()
            .filter(|target| goal.includes(self.layers(*target)))
            .max_by_key(rank)
            .or_else(|| sent().min_by_key(rank))
    }
}

/// Whether a key frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFrame {
    Begins,
    No,
}

const fn all(targets: u8) -> u32 {
    match 1_u32.checked_shl(targets as u32) {
        Some(next) => next - 1,
        None => u32::MAX,
    }
}

/// Whether a frame number is later than another; both wrap.
pub(crate) const fn is_after(number: u16, than: u16) -> bool {
    let ahead = number.wrapping_sub(than);
    ahead != 0 && ahead < 0x8000
}
