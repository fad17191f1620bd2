//! Session descriptions (RFC 8866), as far as WebRTC peers and we use them (RFC 8829).

mod error;

pub use error::SdpError;
