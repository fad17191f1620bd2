//! How a published track is written to one subscriber: its payload types in the subscriber's numbers.

use sfu::{
    params::{Codec, SendFormat},
    units::PayloadType,
};

use super::{
    CodecUnsupported, Encryption, Format, Source,
    codec::{self, Fit},
};

/// The publisher's payload types that the subscriber takes. Refused when it does not take the one that is sent, the
/// publisher's first.
///
/// Invariant: redundant audio stays redundant only where the blocks in it need no other payload type; else, and where the
/// client knows no redundancy, it maps to Opus, which says that only the newest block is to be forwarded.
pub(super) fn formats(source: &Source, sinks: &[Format]) -> Result<Vec<SendFormat>, CodecUnsupported> {
    let mut mapped: Vec<SendFormat> = Vec::new();
    for format in &source.formats {
        let to = best(sinks, format).or_else(|| unwrapped(source, format, sinks));
        if let Some(to) = to {
            mapped.push(SendFormat { from: format.payload.payload_type, to: to.payload });
        }
    }
    let primary = source.formats.first();
    let sent = |from: PayloadType| mapped.iter().any(|format| format.from == from);
    if primary.is_some_and(|primary| sent(primary.payload.payload_type)) {
        return Ok(mapped);
    }
    Err(CodecUnsupported { mime: primary.map(|primary| primary.mime.clone()).unwrap_or_default() })
}

/// The sink that takes a format best; of equals the first.
fn best<'a>(sinks: &'a [Format], format: &Format) -> Option<&'a Format> {
    let fits = |wanted: Fit| sinks.iter().find(move |sink| codec::fit(sink, format) == Some(wanted));
    fits(Fit::Exact).or_else(|| fits(Fit::Contains))
}

/// Opus for redundant Opus that the server can take apart.
fn unwrapped<'a>(source: &Source, format: &Format, sinks: &'a [Format]) -> Option<&'a Format> {
    if format.payload.codec != Codec::Red || source.encryption == Encryption::EndToEnd {
        return None;
    }
    let inner = codec::red_inner(&format.fmtp)?;
    let opus = source.formats.iter().find(|other| other.payload.payload_type == inner)?;
    best(sinks, opus)
}
