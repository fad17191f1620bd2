//! The encodings of a published track, read out of its m-section: by rid, by SSRC group, or alone.
//!
//! Invariant: encodings are ordered by what their names mean, never by where they stand in the description.

use sfu::{
    params::{Encoding, MediaKind},
    units::{Rid, Ssrc},
};

use super::{Layer, NegotiationError};
use crate::sdp::{Section, SsrcSemantics};

/// Names of layers in use, each from the smallest picture to the largest.
const SCHEMES: [[&[u8]; 3]; 3] = [[b"q", b"h", b"f"], [b"2", b"1", b"0"], [b"lo", b"mid", b"hi"]];

/// The encodings from the smallest picture to the largest; `layers` is what AddTrack said about them.
pub(super) fn read(
    kind: MediaKind,
    section: &Section,
    layers: &[Layer],
) -> Result<Vec<Encoding>, NegotiationError> {
    let mut rids: Vec<Rid> = section.simulcast.send.iter().map(|stream| stream.rid).collect();
    if let (true, [only]) = (rids.is_empty(), section.rids_sent.as_slice()) {
        rids.push(*only);
    }
    if kind == MediaKind::Video && !rids.is_empty() {
        return Ok(by_rid(rids, section, layers));
    }
    let grouped = section.ssrc_groups.iter().find(|group| group.semantics == SsrcSemantics::Sim);
    if let (MediaKind::Video, Some(group)) = (kind, grouped) {
        let encoding =
            |ssrc: &Ssrc| Encoding { rid: None, ssrc: Some(*ssrc), rtx_ssrc: repair(section, *ssrc) };
        return Ok(group.ssrcs.iter().map(encoding).collect());
    }
    let ssrc = single(section)?;
    Ok(vec![Encoding { rid: None, ssrc, rtx_ssrc: ssrc.and_then(|ssrc| repair(section, ssrc)) }])
}

fn by_rid(mut rids: Vec<Rid>, section: &Section, layers: &[Layer]) -> Vec<Encoding> {
    let scheme = SCHEMES.iter().find(|scheme| rids.iter().all(|rid| scheme.contains(&rid.as_bytes())));
    match scheme {
        Some(scheme) => rids.sort_by_key(|rid| scheme.iter().position(|name| *name == rid.as_bytes())),
        None => rids.sort_by_key(|rid| {
            layers.iter().find(|layer| layer.rid == Some(*rid)).map_or(u8::MAX, |layer| layer.quality)
        }),
    }
    // With several, which SSRC has which rid is told by the packets alone.
    let ssrc = if rids.len() == 1 { single(section).ok().flatten() } else { None };
    let rtx_ssrc = ssrc.and_then(|ssrc| repair(section, ssrc));
    rids.into_iter().map(|rid| Encoding { rid: Some(rid), ssrc, rtx_ssrc }).collect()
}

/// The one SSRC of media in an m-section, when it tells.
fn single(section: &Section) -> Result<Option<Ssrc>, NegotiationError> {
    let helps = |ssrc: Ssrc| {
        section.ssrc_groups.iter().any(|group| {
            matches!(group.semantics, SsrcSemantics::Fid | SsrcSemantics::Fec)
                && group.ssrcs.iter().skip(1).any(|other| *other == ssrc)
        })
    };
    let mut media = section.ssrcs.iter().map(|line| line.ssrc).filter(|ssrc| !helps(*ssrc));
    let first = media.next();
    match (media.next(), section.mid) {
        (Some(second), Some(mid)) => Err(NegotiationError::SsrcAmbiguous { mid, ssrc: second }),
        _ => Ok(first),
    }
}

fn repair(section: &Section, ssrc: Ssrc) -> Option<Ssrc> {
    section.ssrc_groups.iter().filter(|group| group.semantics == SsrcSemantics::Fid).find_map(|group| {
        match group.ssrcs.as_slice() {
            [media, rtx, ..] if *media == ssrc => Some(*rtx),
            _ => None,
        }
    })
}
