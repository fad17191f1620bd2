//! The journeys, in the order in which they are made. Names are promises.

mod calls;
mod data;
mod doors;
mod endings;
mod layers;
mod page;
mod permissions;
mod resume;
mod roaming;
mod sdks;
mod service;
mod strangers;
mod turn;

use crate::Journey;

pub(crate) fn all() -> impl Iterator<Item = Journey> {
    let parts: [&[Journey]; 13] = [
        doors::ALL,
        calls::ALL,
        layers::ALL,
        sdks::ALL,
        data::ALL,
        service::ALL,
        permissions::ALL,
        resume::ALL,
        roaming::ALL,
        turn::ALL,
        page::ALL,
        strangers::ALL,
        endings::ALL,
    ];
    parts.into_iter().flatten().copied()
}
