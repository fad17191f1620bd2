//! One packet in, its copies out: how numbers stay continuous, what is kept, what is asked for again.
//!
//! Invariant: no policy and no transports here; each file is one decision with its state.

pub(crate) mod arrivals;
pub(crate) mod frame;
pub(crate) mod keyframe;
pub(crate) mod layers;
pub(crate) mod nack;
pub(crate) mod packet;
pub(crate) mod pool;
pub(crate) mod reception;
pub(crate) mod retransmit;
pub(crate) mod rewrite;
pub(crate) mod ring;
pub(crate) mod select;
pub(crate) mod wall;
