//! The kinds of values settings have, and how each is written.

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr, time::Duration};

use clap::ValueEnum;
use serde::{Deserialize, Deserializer, de};
use sfu::params::Secret;

/// Why a value is not of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A key pair without a colon, or half of one.
    #[error("a key pair is written \"key: secret\"")]
    KeyPair,
    /// Not a time.
    #[error("{0:?} is no time: write seconds, or a number with ms, s, m, h or d")]
    Span(String),
    /// Neither a port nor `off`.
    #[error("{0:?} is no port: write a number up to 65535, or off")]
    Port(String),
    /// Not an IP address.
    #[error("{0:?} is no IP address")]
    Address(String),
}

/// An API key and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// Shown in tokens.
    pub key: String,
    /// Signs them.
    pub secret: Secret<String>,
}

impl KeyPair {
    /// Reads `key: secret`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let (key, secret) = text.split_once(':').ok_or(ValueError::KeyPair)?;
        let (key, secret) = (unquoted(key), unquoted(secret));
        if key.is_empty() || secret.is_empty() {
            return Err(ValueError::KeyPair);
        }
        Ok(Self { key: key.into(), secret: Secret(secret.into()) })
    }

    /// As it stands in a table of keys.
    #[must_use]
    pub fn to_entry(&self) -> (String, Secret<String>) {
        (self.key.clone(), self.secret.clone())
    }
}

/// API keys with their secrets; none is written too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPairs(pub Vec<KeyPair>);

impl FromStr for KeyPairs {
    type Err = ValueError;

    /// Several stand on lines of their own or between commas.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let parts = text.split(['\n', ',']).filter(|part| !part.trim().is_empty());
        parts.map(KeyPair::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for KeyPairs {
    /// A table: `key = "secret"`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self(table.into_iter().map(|(key, secret)| KeyPair { key, secret: Secret(secret) }).collect()))
    }
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let wrong = || ValueError::Span(text.into());
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let seconds = match unit.trim() {
            "ms" => return Ok(Self(Duration::from_millis(number))),
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        Ok(Self(Duration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(deserializer)?.to_string().parse().map_err(de::Error::custom)
    }
}

/// A port, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one; 0 is any free one.
    Number(u16),
    /// None.
    Off,
}

impl Port {
    /// As an option.
    #[must_use]
    pub fn number(self) -> Option<u16> {
        match self {
            Self::Number(number) => Some(number),
            Self::Off => None,
        }
    }
}

impl FromStr for Port {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::Number).map_err(|_| ValueError::Port(text.into()))
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(deserializer)?.to_string().parse().map_err(de::Error::custom)
    }
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines, an object a line.
    Json,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a text was expected")]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl fmt::Display for NumberOrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Addresses between commas.
pub(super) fn addresses(text: &str) -> Result<Vec<IpAddr>, ValueError> {
    let address = |part: &str| part.trim().parse().map_err(|_| ValueError::Address(part.trim().into()));
    text.split(',').filter(|part| !part.trim().is_empty()).map(address).collect()
}

/// One address, or a list of them.
pub(super) fn address_list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<IpAddr>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "an IP address or a list of them was expected")]
    enum OneOrMany {
        One(String),
        Many(Vec<IpAddr>),
    }
    match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(text) => addresses(&text).map(Some).map_err(de::Error::custom),
        OneOrMany::Many(list) => Ok(Some(list)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_their_unit() {
        let span = |text: &str| text.parse().map(|Span(time)| time);

        assert_eq!(span("90"), Ok(Duration::from_secs(90)));
        assert_eq!(span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(span("6h"), Ok(Duration::from_secs(21_600)));
        assert_eq!(span("2 d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(span("soon"), Err(ValueError::Span("soon".into())));
        assert_eq!(span("-1s"), Err(ValueError::Span("-1s".into())));
        assert_eq!(span("99999999999999999999d"), Err(ValueError::Span("99999999999999999999d".into())));
    }

    #[test]
    fn key_pairs_are_read_as_livekit_writes_them() {
        let pair = |key: &str, secret: &str| KeyPair { key: key.into(), secret: Secret(secret.into()) };

        assert_eq!("devkey: secret".parse(), Ok(KeyPairs(vec![pair("devkey", "secret")])));
        assert_eq!("a: \"b\"\n c:d \n".parse(), Ok(KeyPairs(vec![pair("a", "b"), pair("c", "d")])));
        assert_eq!("devkey".parse::<KeyPairs>(), Err(ValueError::KeyPair));
        assert_eq!(": secret".parse::<KeyPairs>(), Err(ValueError::KeyPair));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let shown = format!("{:?}", KeyPair::parse("devkey: hush").unwrap());

        assert!(!shown.contains("hush"), "{shown}");
    }
}
