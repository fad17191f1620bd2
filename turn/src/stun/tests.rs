//! RFC 5769 vectors and the promises of the codec.
