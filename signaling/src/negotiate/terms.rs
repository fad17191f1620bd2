//! What must be right in a client's description before anything of it is taken: one transport, its roles, and numbers
//! that mean one thing each.

use std::collections::BTreeMap;

use sfu::{
    params::{Extension, RemoteParameters},
    units::{PayloadType, Ssrc},
};

use super::{NegotiationError, line};
use crate::sdp::{Description, IceMode, Kind, Section, Setup};

/// Which description it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The client's offer.
    Offer,
    /// The client's answer to ours.
    Answer,
}

/// The client's side of the transport; `None` when the description has no m-section in use.
pub(super) fn check(theirs: &Description, part: Part) -> Result<Option<RemoteParameters>, NegotiationError> {
    if theirs.ice == IceMode::Lite {
        return Err(NegotiationError::BothLite);
    }
    let in_use = theirs.sections.iter().filter(|section| !section.is_rejected()).count();
    if theirs.bundle.is_empty() && in_use > 1 {
        return Err(NegotiationError::NotBundled);
    }
    check_numbers(theirs)?;
    let Some(leader) = leader(theirs) else { return Ok(None) };
    match (leader.setup, part) {
        (Some(Setup::Active), _) | (Some(Setup::ActPass), Part::Offer) => {}
        (Some(Setup::Passive), _) => return Err(NegotiationError::SetupPassive),
        (Some(Setup::ActPass), Part::Answer) | (None, _) => return Err(NegotiationError::SetupMissing),
    }
    let (Some(ice), Some(fingerprint)) = (leader.ice.clone(), leader.fingerprint) else {
        return Err(NegotiationError::TransportMissing);
    };
    Ok(Some(RemoteParameters { ice, fingerprint }))
}

/// RFC 9143 §7.2: the first m-section in use of the BUNDLE group has the transport of all of them.
fn leader(theirs: &Description) -> Option<&Section> {
    let named = |mid| theirs.sections.iter().find(|section| section.mid == Some(mid));
    let bundled = theirs.bundle.iter().copied().filter_map(named).find(|section| usable(theirs, section));
    bundled.or_else(|| theirs.sections.iter().find(|section| usable(theirs, section)))
}

/// Whether an m-section can be used: it is not rejected, protected by DTLS, and on the one transport there is.
pub(super) fn usable(theirs: &Description, section: &Section) -> bool {
    let alone = theirs.bundle.is_empty();
    let bundled = section.mid.is_some_and(|mid| theirs.bundle.contains(&mid));
    let protocol = match section.kind {
        Kind::Audio | Kind::Video => section.protocol.ends_with("TLS/RTP/SAVPF"),
        Kind::Application => section.protocol.ends_with("DTLS/SCTP"),
        Kind::Other(_) => false,
    };
    !section.is_rejected() && protocol && (bundled || alone)
}

/// RFC 9143 §9.1 and §9.2, RFC 3550 §8: on one transport a payload type, an extension id and an SSRC mean one thing.
fn check_numbers(theirs: &Description) -> Result<(), NegotiationError> {
    let mut formats: BTreeMap<PayloadType, (&str, u32, u8)> = BTreeMap::new();
    let mut extensions: BTreeMap<u8, Extension> = BTreeMap::new();
    let mut ssrcs: BTreeMap<Ssrc, usize> = BTreeMap::new();
    for (place, section) in theirs.sections.iter().enumerate().filter(|(_, section)| usable(theirs, section))
    {
        if section.kind == Kind::Application {
            continue;
        }
        if !section.rtcp.mux {
            return Err(NegotiationError::RtcpNotMuxed(place + 1));
        }
        for format in &section.formats {
            let meaning = (format.name.as_str(), format.clock_rate, format.channels);
            let known = formats.entry(format.payload_type).or_insert(meaning);
            if !known.0.eq_ignore_ascii_case(meaning.0) || (known.1, known.2) != (meaning.1, meaning.2) {
                return Err(NegotiationError::PayloadTypeClash(format.payload_type));
            }
        }
        for extmap in &section.extensions {
            if *extensions.entry(extmap.id).or_insert(extmap.extension) != extmap.extension {
                return Err(NegotiationError::ExtensionClash(extmap.id));
            }
        }
        for ssrc in section.ssrcs.iter().map(|line| line.ssrc).filter(|_| line::sends(section)) {
            if ssrcs.insert(ssrc, place).is_some_and(|other| other != place) {
                return Err(NegotiationError::SsrcClash(ssrc));
            }
        }
    }
    Ok(())
}
