//! Which encoding of a track a subscriber is to get.
//!
//! Invariant: of the encodings that flow, the highest that is wanted; with none wanted, the lowest that flows.

use crate::codec::Layers;

/// Encodings of one track (RFC 8853): LiveKit knows three.
pub(crate) const LAYERS_MAX: usize = 4;

/// The highest layers a subscriber is to get of a track: a spatial layer is an encoding of its own or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
}

impl Target {
    /// Whatever there is.
    pub(crate) const ALL: Self = Self { spatial: u8::MAX, temporal: u8::MAX };

    /// These layers.
    pub(crate) const fn of(layers: Layers) -> Self {
        Self { spatial: layers.spatial, temporal: layers.temporal }
    }

    /// Whether these layers are not above it.
    pub(crate) const fn includes(self, layers: Layers) -> bool {
        layers.spatial <= self.spatial && layers.temporal <= self.temporal
    }

    /// What both allow.
    #[must_use]
    pub(crate) fn min(self, other: Self) -> Self {
        Self { spatial: self.spatial.min(other.spatial), temporal: self.temporal.min(other.temporal) }
    }
}

/// Which encodings of a track flow, lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flowing(u8);

impl Flowing {
    /// With this encoding among them.
    #[must_use]
    pub(crate) const fn with(self, layer: u8) -> Self {
        if layer < 8 { Self(self.0 | 1 << layer) } else { self }
    }

    /// Whether this encoding is among them.
    pub(crate) const fn has(self, layer: u8) -> bool {
        layer < 8 && self.0 & 1 << layer != 0
    }

    /// The encoding to aim for.
    pub(crate) fn aim(self, layer_max: u8) -> Option<u8> {
        (0..8).rev().filter(|layer| *layer <= layer_max).chain(0..8).find(|layer| self.has(*layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_targets_the_lower_of_each_kind_holds() {
        let picture = Target { spatial: 0, temporal: 2 };
        let motion = Target { spatial: 2, temporal: 1 };

        assert_eq!(picture.min(motion), Target { spatial: 0, temporal: 1 });
        assert_eq!(motion.min(Target::ALL), motion);
    }

    #[test]
    fn the_highest_wanted_is_aimed_for() {
        let flowing = Flowing::default().with(0).with(1).with(2);

        assert_eq!(flowing.aim(0), Some(0));
        assert_eq!(flowing.aim(1), Some(1));
        assert_eq!(flowing.aim(255), Some(2));
    }

    #[test]
    fn what_does_not_flow_is_not_waited_for() {
        assert_eq!(Flowing::default().with(0).with(2).aim(1), Some(0));
        assert_eq!(Flowing::default().with(2).aim(1), Some(2), "rather too large than nothing");
        assert_eq!(Flowing::default().aim(2), None);
    }
}
