//! An SSRC takes its place: from here on it feeds an encoding.
//!
//! Invariant: when another SSRC fed the encoding, nothing of the old numbering survives.

use super::{
    Room,
    streams::{Binding, Bound, Role, Stream},
};
use crate::units::Ssrc;

impl Room {
    /// What an SSRC feeds is known: whatever fed it before has retired.
    pub(super) fn bind(&mut self, key: usize, ssrc: Ssrc, fresh: Stream, bound: Bound) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.up.streams.get(ssrc).is_none() {
            peer.up.streams.insert(ssrc, fresh);
        }
        if let Some(stream) = peer.up.streams.get_mut(ssrc) {
            stream.binding = Binding::To(bound);
        }
        let Some(track) = self.tracks.get_mut(bound.track) else { return };
        let Some(layer) = track.layers.get_mut(usize::from(bound.layer)) else { return };
        let place = match bound.role {
            Role::Primary => &mut layer.primary,
            Role::Repair => &mut layer.repair,
        };
        let Some(before) = place.replace(ssrc).filter(|before| *before != ssrc) else { return };
        peer.up.streams.retire(before);
        if bound.role == Role::Primary {
            layer.reset(&mut self.pool);
            for key in &track.subscriptions {
                if let Some(subscription) = self.subscriptions.get_mut(*key) {
                    subscription.forget_layer(bound.layer);
                }
            }
        }
    }
}
