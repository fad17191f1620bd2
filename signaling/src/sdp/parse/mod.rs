//! Text to description, in one pass.
//!
//! Invariant: every limit is checked before what it limits is kept.

use std::{collections::BTreeSet, str::FromStr};

use sfu::params::{IceCredentials, Secret};

use super::{
    Description, Direction, ExtmapMixed, IceMode, Kind, RtpFormat, SdpError, Section, Setup,
    limits::{BYTES_MAX, LINE_MAX, SECTIONS_MAX},
};

mod attribute;
mod media;

pub(super) use attribute::extension_uri;
pub(crate) use attribute::is_token_byte;

/// Reads a description.
pub(super) fn description(text: &str) -> Result<Description, SdpError> {
    if text.len() > BYTES_MAX {
        return Err(SdpError::TooLong(text.len()));
    }
    let mut reader = Reader::default();
    for (index, line) in text.split('\n').enumerate() {
        let line = Line { number: index + 1, text: line.strip_suffix('\r').unwrap_or(line) };
        reader.line(line)?;
    }
    reader.finish()
}

/// A line with its number, for errors.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    const fn malformed(self, what: &'static str) -> SdpError {
        SdpError::Malformed { line: self.number, what }
    }

    const fn too_many(self, what: &'static str) -> SdpError {
        SdpError::TooMany { line: self.number, what }
    }

    /// A number in decimal digits, nothing else.
    fn number<T: FromStr>(self, text: &str, what: &'static str) -> Result<T, SdpError> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.malformed(what));
        }
        text.parse().map_err(|_| self.malformed(what))
    }

    /// The letter and the value.
    fn split(self) -> Result<(u8, &'a str), SdpError> {
        let letter = self.text.bytes().next().filter(u8::is_ascii_lowercase);
        let value = self.text.get(1..).and_then(|rest| rest.strip_prefix('='));
        letter.zip(value).ok_or(SdpError::NotALine(self.number))
    }
}

/// What stands at session level for every m-section that does not say otherwise.
#[derive(Default)]
struct Defaults {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprint: Option<sfu::params::Fingerprint>,
    setup: Option<Setup>,
    direction: Option<Direction>,
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    begun: bool,
    description: Description,
    bundled: Option<usize>,
    session: Defaults,
    open: Option<media::Open>,
}

impl Reader {
    fn line(&mut self, line: Line<'_>) -> Result<(), SdpError> {
        if line.text.len() > LINE_MAX {
            return Err(SdpError::LineTooLong(line.number));
        }
        if line.text.chars().any(char::is_control) {
            return Err(SdpError::ControlCharacter(line.number));
        }
        if !self.begun {
            self.begun = line.text == "v=0";
            return if self.begun { Ok(()) } else { Err(SdpError::Version) };
        }
        if line.text.is_empty() {
            return Ok(());
        }
        match line.split()? {
            (b'o', value) => self.origin(line, value),
            (b'm', value) => self.begin_section(line, value),
            (b'a', value) => self.attribute(line, value),
            _ => Ok(()),
        }
    }

    fn origin(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let mut words = value.split(' ').skip(1);
        let (Some(session), Some(version)) = (words.next(), words.next()) else {
            return Err(line.malformed("origin"));
        };
        // Both are numeric strings without a limit (RFC 8866 §5.2) and mean nothing to the reader.
        self.description.origin.session = session.parse().unwrap_or(0);
        self.description.origin.version = version.parse().unwrap_or(0);
        Ok(())
    }

    fn begin_section(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        self.end_section()?;
        if self.description.sections.len() == SECTIONS_MAX {
            return Err(line.too_many("m-sections"));
        }
        self.open = Some(media::Open::new(line, value)?);
        Ok(())
    }

    fn attribute(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        match &mut self.open {
            Some(open) => open.attribute(line, name, value),
            None => self.session_attribute(line, name, value),
        }
    }

    fn session_attribute(&mut self, line: Line<'_>, name: &str, value: &str) -> Result<(), SdpError> {
        match name {
            "ice-lite" => self.description.ice = IceMode::Lite,
            "extmap-allow-mixed" => self.description.extmap_mixed = ExtmapMixed::Allowed,
            "group" => return self.group(line, value),
            "ice-ufrag" => self.session.ufrag = Some(attribute::ice_text(line, value, 4)?),
            "ice-pwd" => self.session.pwd = Some(attribute::ice_text(line, value, 22)?),
            "fingerprint" => attribute::fingerprint(line, value, &mut self.session.fingerprint)?,
            "setup" => self.session.setup = Some(attribute::setup(line, value)?),
            "sendrecv" => self.session.direction = Some(Direction::SendRecv),
            "sendonly" => self.session.direction = Some(Direction::SendOnly),
            "recvonly" => self.session.direction = Some(Direction::RecvOnly),
            "inactive" => self.session.direction = Some(Direction::Inactive),
            _ => {}
        }
        Ok(())
    }

    fn group(&mut self, line: Line<'_>, value: &str) -> Result<(), SdpError> {
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        if words.next() != Some("BUNDLE") {
            return Ok(());
        }
        if self.bundled.replace(line.number).is_some() {
            return Err(SdpError::BundleTwice(line.number));
        }
        for word in words {
            if self.description.bundle.len() == SECTIONS_MAX {
                return Err(line.too_many("mids in BUNDLE"));
            }
            self.description.bundle.push(attribute::mid(line, word)?);
        }
        Ok(())
    }

    fn end_section(&mut self) -> Result<(), SdpError> {
        if let Some(open) = self.open.take() {
            let place = self.description.sections.len() + 1;
            self.description.sections.push(open.finish(place, &self.session)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Description, SdpError> {
        if !self.begun {
            return Err(SdpError::Version);
        }
        self.end_section()?;
        let mut mids = BTreeSet::new();
        for mid in self.description.sections.iter().filter_map(|section| section.mid) {
            if !mids.insert(mid) {
                return Err(SdpError::MidTwice(mid));
            }
        }
        // Removing each one found leaves a mid that is named twice without a section.
        for mid in &self.description.bundle {
            if !mids.remove(mid) {
                return Err(SdpError::BundleMismatch(*mid));
            }
        }
        Ok(self.description)
    }
}

/// ICE credentials, when both halves are there.
fn credentials(ufrag: Option<String>, pwd: Option<String>) -> Option<IceCredentials> {
    Some(IceCredentials { ufrag: ufrag?, pwd: Secret(pwd?) })
}
