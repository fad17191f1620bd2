//! Strangers who send nonsense: it costs them their connection and nobody else anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::Journey;
use crate::stage::failure::{Failure, Step, promise};
use crate::stage::http;
use crate::stage::people::{Path, Picture, Sdk};
use crate::stage::token::Token;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] =
    &[("strangers::nonsense_on_every_port_disturbs_no_call", nonsense_on_every_port_disturbs_no_call)];

const ICE_TCP: u16 = 7881;
const ICE_UDP: u16 = 7882;
const LENGTH_MAX: usize = 64;

fn nonsense_on_every_port_disturbs_no_call(world: &mut World) -> Step {
    let room = world.room();
    let ada = world.person("ada", Sdk::Browser)?;
    let ben = world.person("ben", Sdk::Browser)?;
    for person in [&ada, &ben] {
        person.join(&room, Path::Single)?;
        person.film(Picture::PLAIN)?;
    }
    ada.watch(&ben, 10)?;

    let server = world.server.address();
    datagrams(server).map_err(Failure::io("sending datagrams"))?;
    frames(server).map_err(Failure::io("sending frames"))?;
    requests(server)?;
    sockets(server)?;

    ada.watch(&ben, 20)?;
    ben.watch(&ada, 20)?;
    let dropped = ada.events_since(0, "resuming");
    promise(dropped.is_empty(), || "the call was disturbed".into())
}

/// Every length and every first byte: STUN, DTLS, RTP and nothing at all (RFC 7983).
fn datagrams(server: SocketAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind((server.ip(), 0))?;
    for length in 0..=LENGTH_MAX {
        for first in [0_u8, 1, 19, 20, 22, 63, 64, 79, 80, 127, 128, 144, 191, 192, 255] {
            let datagram: Vec<u8> =
                (0..length).map(|at| if at == 0 { first } else { at.to_le_bytes()[0] }).collect();
            socket.send_to(&datagram, (server.ip(), ICE_UDP))?;
        }
    }
    Ok(())
}

/// RFC 4571 frames over ICE-TCP: empty, cut short, never ending.
fn frames(server: SocketAddr) -> std::io::Result<()> {
    for frame in [
        &[0_u8, 0][..],
        &[0, 4, 1, 2, 3, 4],
        &[255, 255, 1],
        &[0, 20, 0, 1, 0, 0, 33, 18, 164, 66],
        &[71, 69, 84],
    ] {
        let mut stream = TcpStream::connect((server.ip(), ICE_TCP))?;
        // The server may close before it read everything.
        stream.write_all(frame).unwrap_or_default();
    }
    Ok(())
}

fn requests(server: SocketAddr) -> Step {
    for target in [
        "/rtc?access_token=%00%ff",
        "/rtc/v1?join_request=%%%",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/twirp/",
        "/twirp/livekit.RoomService/",
    ] {
        let answer = http::upgrade(server, target)?;
        promise((400..500).contains(&answer.status), || format!("{target}: {answer:?}"))?;
    }
    Ok(())
}

/// A real session whose client then talks nonsense: it is told to go or ignored, and ends.
fn sockets(server: SocketAddr) -> Step {
    let failed = || Failure::io("talking nonsense over a WebSocket");
    for (opcode, payload) in
        [(1_u8, &b"{\"nonsense\":"[..]), (2, &[255; 40]), (2, &[]), (1, b"\xff\xfe"), (9, b"ping")]
    {
        let token = Token::join("nonsense", "eve").mint();
        let mut stream = TcpStream::connect(server).map_err(failed())?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed())?;
        let head = format!(
            "GET /rtc?access_token={token}&protocol=16&sdk=js&version=2.9.0 HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(failed())?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).map_err(failed())?;
        promise(&first == b"HTTP/1.1 101", || format!("no upgrade: {}", String::from_utf8_lossy(&first)))?;
        // RFC 6455 §5.2: one final frame, masked with zeros.
        let length = u8::try_from(payload.len()).unwrap_or_default();
        let frame = [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat();
        stream.write_all(&frame).unwrap_or_default();
    }
    Ok(())
}
