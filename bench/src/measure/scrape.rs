//! What a server tells of itself: `/metrics` in Prometheus' text form, and whether it is there at all.

use std::{collections::BTreeMap, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Samples by name, those with different labels added up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// Empty when the server tells nothing.
    pub(crate) async fn of(url: &str) -> Self {
        get(url, "/metrics").await.map(|(_, body)| Self::parse(&body)).unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut sums = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let Ok(value) = value.parse::<f64>() else { continue };
            *sums.entry(name.to_owned()).or_default() += value;
            if let Some(reason) = labels.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next()) {
                *sums.entry(format!("{name}:{reason}")).or_default() += value;
            }
        }
        Self(sums)
    }

    /// How much a sample grew since `before`.
    pub(crate) fn since(&self, before: &Self, name: &str) -> Option<f64> {
        Some(self.0.get(name)? - before.0.get(name)?)
    }

    /// All that grew and begins so.
    pub(crate) fn grown(&self, before: &Self, prefix: &str) -> BTreeMap<String, f64> {
        let begins = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let grown = begins.map(|(name, value)| (name.clone(), value - before.0.get(name).unwrap_or(&0.0)));
        grown.filter(|(_, value)| *value > 0.0).collect()
    }
}

/// GET over plain HTTP/1.0: status and body.
pub(crate) async fn get(url: &str, path: &str) -> io::Result<(u16, String)> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_up_by_name() {
        let before = Metrics::parse("# HELP x y\nx{worker=\"0\"} 1\nx{worker=\"1\"} 2\n");
        let after = Metrics::parse("x{worker=\"0\"} 5\nx{worker=\"1\"} 2\nd{a=\"b\",reason=\"full\"} 3\n");

        assert_eq!(after.since(&before, "x"), Some(4.0));
        assert_eq!(after.since(&before, "y"), None);
        assert_eq!(after.grown(&before, "d:").get("d:full"), Some(&3.0));
    }
}
