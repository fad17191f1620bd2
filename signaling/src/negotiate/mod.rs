//! One peer connection of a client: what both sides said in SDP, turned into the media plane's parameters.
//!
//! It knows descriptions and the media plane's words, nothing of rooms, and has no clock and no socket.
//!
//! Invariants: an offer or an answer that is refused changes nothing. A [`Change`] is told once, when something changed.
//! The numbers a client chose (payload types, header extension ids) are kept. An m-section never moves.

mod answer;
mod catalogue;
mod change;
mod codec;
mod describe;
mod encoding;
mod extension;
mod line;
mod offer;
mod peer;
mod policy;
mod send;
mod ssrcs;
mod terms;
mod track;

#[cfg(test)]
mod tests;

pub use change::{Answer, Change, CodecUnsupported, NegotiationError, Sections};
pub use peer::{Local, PeerConnection, Role};
pub use policy::{Cids, Codecs, DataSection, Offered, Policy, Reuse};
pub use track::{Dtx, Encryption, Expected, Format, Layer, OpusWishes, Red, Source, Stereo};
