//! The least HTTP that a check needs: one request, one answer, one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::failure::{Failure, Step};

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer; header names in lower case.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

pub(crate) fn get(server: SocketAddr, target: &str) -> Step<Answer> {
    request(server, "GET", target, &[], "")
}

/// Asks for a WebSocket and gives the answer; the socket, if there was one, is closed.
pub(crate) fn upgrade(server: SocketAddr, target: &str) -> Step<Answer> {
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    request(server, "GET", target, &headers, "")
}

pub(crate) fn request(
    server: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Step<Answer> {
    let what = format!("{method} {target}");
    let failed = || Failure::io(&what);
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE).map_err(failed())?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {server}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "Connection") {
        head += "Connection: close\r\n";
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).map_err(failed())?;
    stream.write_all(body.as_bytes()).map_err(failed())?;
    answer(BufReader::new(stream)).map_err(failed())
}

fn answer(mut from: impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut body = Vec::new();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, length)| length.parse().ok());
    match length {
        Some(length) => from.take(length).read_to_end(&mut body)?,
        None if status == 101 => 0,
        None => from.read_to_end(&mut body)?,
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    Ok(Answer { status, headers, body: if chunked { unchunk(&body) } else { body } })
}

fn unchunk(body: &str) -> String {
    let mut whole = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size.trim(), 16) else { break };
        whole += after.get(..size).unwrap_or_default();
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}
