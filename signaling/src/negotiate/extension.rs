//! Header extensions of an m-section.
//!
//! Invariant: every one we know is accepted in every m-section that offers it, also where nothing flows yet: a client's
//! first answer decides what its later m-sections can have.

use sfu::params::{Extension, ExtensionMap};

use crate::sdp::{Direction, ExtMap};

/// Our answer to offered extensions.
pub(super) fn accept(offered: &[ExtMap]) -> Vec<ExtMap> {
    let mut accepted: Vec<ExtMap> = Vec::new();
    for extmap in offered {
        let known = accepted.iter().any(|other| other.extension == extmap.extension || other.id == extmap.id);
        // Which layers have how much is read from the streams themselves.
        let wanted = extmap.extension != Extension::VideoLayersAllocation;
        if known || !wanted || extmap.direction == Some(Direction::Inactive) {
            continue;
        }
        accepted.push(ExtMap { direction: extmap.direction.map(Direction::reversed), ..*extmap });
    }
    accepted
}

/// Those the client may send, of the ones in our description.
pub(super) fn received(ours: &[ExtMap]) -> ExtensionMap {
    map(ours, Direction::receives)
}

/// Those the client understands, of the ones in our description.
pub(super) fn sent(ours: &[ExtMap]) -> ExtensionMap {
    map(ours, Direction::sends)
}

fn map(ours: &[ExtMap], usable: fn(Direction) -> bool) -> ExtensionMap {
    ours.iter()
        .filter(|extmap| extmap.direction.is_none_or(usable))
        .fold(ExtensionMap::default(), |map, extmap| map.with(extmap.extension, extmap.id))
}
