//! Promises of the door: real WebSockets over loopback, a media plane that only listens.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use sfu::{
    command::Command,
    event::Event,
    ids::RoomId,
    params::{Endpoint, Fingerprint, Secret},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite};
use tungstenite::Message as Frame;

use super::{Busy, Media, MediaRoom, Signaling};
use crate::{
    Config, ServiceError,
    config::AutoCreate,
    token::{Claims, NumericDate, VideoGrant},
    wire::{Ask, Say, proto},
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[tokio::test]
async fn a_client_joins_and_the_first_frame_is_join() {
    let server = Server::start(Config::default()).await;

    let mut ann = server.connect("/rtc", &token("ann")).await;

    let Some(Say::Join(join)) = next(&mut ann).await else { panic!("no join") };
    assert_eq!(join.participant.unwrap().identity, "ann");
    assert_eq!(server.signaling.stats().participants, 1);
}

#[tokio::test]
async fn a_join_request_opens_the_second_door() {
    let server = Server::start(Config::default()).await;
    let client_info = Some(proto::ClientInfo { protocol: 17, ..Default::default() });
    let request = proto::JoinRequest { client_info, ..Default::default() }.encode_to_vec();
    let wrapped = proto::WrappedJoinRequest { compression: 0, join_request: request }.encode_to_vec();
    let wrapped = base64::engine::general_purpose::URL_SAFE.encode(wrapped);

    let mut ann = server.connect(&format!("/rtc/v1?join_request={wrapped}"), &token("ann")).await;

    assert!(matches!(next(&mut ann).await, Some(Say::Join(join)) if !join.subscriber_primary));
}

#[tokio::test]
async fn who_may_not_come_in_gets_a_status_and_a_text() {
    let server = Server::start(Config { auto_create: AutoCreate::Off, ..Config::default() }).await;
    let stranger = sign(Claims { key: "nobody".into(), ..claims("ann") });
    let listener = sign(Claims { video: Some(VideoGrant::default()), ..claims("ann") });

    assert_eq!(server.refused("/rtc", "").await, (401, "permissions denied".into()));
    assert_eq!(server.refused("/rtc", &stranger).await, (401, "invalid API key".into()));
    assert_eq!(server.refused("/rtc", &listener).await, (401, "permissions denied".into()));
    assert_eq!(server.refused("/rtc/v1", &token("ann")).await, (400, "join_request is required".into()));
    assert_eq!(server.refused("/rtc", &token("ann")).await, (404, "requested room does not exist".into()));
}

#[tokio::test]
async fn validate_says_success_or_what_is_wrong_to_any_origin() {
    let server = Server::start(Config::default()).await;

    let good = server.get(&format!("/rtc/validate?access_token={}", token("ann"))).await;
    let bad = server.get("/rtc/validate?access_token=x").await;

    assert!(good.starts_with("HTTP/1.1 200") && good.ends_with("success"), "{good}");
    assert!(good.contains("access-control-allow-origin: *"), "{good}");
    assert!(bad.starts_with("HTTP/1.1 401"), "{bad}");
    assert!(bad.contains("access-control-allow-origin"), "{bad}");
}

#[tokio::test]
async fn without_an_upgrade_there_is_nothing() {
    let server = Server::start(Config::default()).await;

    let plain = server.get(&format!("/rtc?access_token={}", token("ann"))).await;

    assert!(plain.starts_with("HTTP/1.1 404"), "{plain}");
}

#[tokio::test]
async fn who_writes_json_is_answered_in_json() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.connect("/rtc", &token("ann")).await;

    ann.send(Frame::text(r#"{"ping":"1","tomorrow":{}}"#)).await.unwrap();

    let pong = loop {
        match ann.next().await.unwrap().unwrap() {
            Frame::Text(text) if text.contains("pong") => break text,
            Frame::Binary(_) | Frame::Text(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(pong.starts_with(r#"{"pong":"#), "{pong}");
}

#[tokio::test]
async fn frames_nobody_can_read_are_dropped_until_they_are_too_many() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.connect("/rtc", &token("ann")).await;

    ann.send(Frame::binary(vec![0xff])).await.unwrap();
    ask(&mut ann, Ask::Ping(1)).await;
    wait_for(&mut ann, |say| matches!(say, Say::Pong(_))).await;
    for _ in 0..20 {
        let _ = ann.send(Frame::text("{")).await;
    }

    assert_eq!(close_code(&mut ann).await, Some(1007));
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_websocket() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.connect("/rtc", &token("ann")).await;

    let _ = ann.send(Frame::binary(vec![0; 3 * 1024 * 1024])).await;

    while let Some(Ok(_)) = ann.next().await {}
    server.until(|stats| stats.participants == 0).await;
}

#[tokio::test]
async fn a_lost_websocket_before_media_is_a_lost_participant() {
    let server = Server::start(Config::default()).await;
    let ann = server.connect("/rtc", &token("ann")).await;
    server.until(|stats| stats.participants == 1).await;

    drop(ann);

    server.until(|stats| stats.participants == 0).await;
}

#[tokio::test]
async fn a_resume_without_a_room_makes_none() {
    let server = Server::start(Config::default()).await;

    let mut ann = server.connect("/rtc?reconnect=1&sid=PA_x&protocol=16", &token("ann")).await;

    let Some(Say::Leave(leave)) = next(&mut ann).await else { panic!("no leave") };
    assert_eq!(leave.action, proto::leave_request::Action::Reconnect as i32);
    assert_eq!(close_code(&mut ann).await, Some(1000));
    assert_eq!(server.signaling.stats().rooms, 0);
}

#[tokio::test]
async fn the_room_service_sees_what_clients_make_and_ends_it() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.connect("/rtc", &token("ann")).await;
    next(&mut ann).await;
    let signaling = &server.signaling;

    let rooms = signaling.list_rooms(proto::ListRoomsRequest::default()).await.unwrap().rooms;
    assert_eq!(rooms[0].name, "room");
    let again = proto::CreateRoomRequest { name: "room".into(), max_participants: 5, ..Default::default() };
    let room = signaling.create_room(again).await.unwrap();
    assert_eq!((room.sid == rooms[0].sid, room.max_participants), (true, 5));
    let listed = signaling.list_participants(proto::ListParticipantsRequest { room: "room".into() }).await;
    assert_eq!(listed.unwrap().participants.len(), 1);

    signaling.delete_room(proto::DeleteRoomRequest { room: "room".into() }).await.unwrap();

    let leave = wait_for(&mut ann, |say| matches!(say, Say::Leave(_))).await;
    let Say::Leave(leave) = leave else { panic!("no leave") };
    assert_eq!(leave.reason, proto::DisconnectReason::RoomDeleted as i32);
    assert_eq!(close_code(&mut ann).await, Some(1000));
    let gone = signaling.delete_room(proto::DeleteRoomRequest { room: "room".into() }).await;
    assert_eq!(gone.err(), Some(ServiceError::room_missing()));
}

#[tokio::test]
async fn a_stop_says_so_to_everybody() {
    let server = Server::start(Config::default()).await;
    let mut ann = server.connect("/rtc", &token("ann")).await;
    next(&mut ann).await;

    server.signaling.shutdown().await;

    let leave = wait_for(&mut ann, |say| matches!(say, Say::Leave(_))).await;
    let Say::Leave(leave) = leave else { panic!("no leave") };
    assert_eq!(leave.reason, proto::DisconnectReason::ServerShutdown as i32);
    assert_eq!(server.signaling.stats().rooms, 0);
}

/// A server on loopback.
struct Server {
    signaling: Signaling,
    addr: SocketAddr,
}

impl Server {
    async fn start(config: Config) -> Self {
        let keys = BTreeMap::from([("devkey".to_string(), Secret("secret".to_string()))]);
        let signaling = Signaling::new(Config { keys, ..config }, Listens);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = signaling.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { signaling, addr }
    }

    fn url(&self, path: &str, token: &str) -> String {
        let separator = if path.contains('?') { '&' } else { '?' };
        format!("ws://{}{path}{separator}access_token={token}", self.addr)
    }

    async fn connect(&self, path: &str, token: &str) -> Socket {
        connect_async(self.url(path, token)).await.unwrap().0
    }

    async fn refused(&self, path: &str, token: &str) -> (u16, String) {
        match connect_async(self.url(path, token)).await {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    async fn until(&self, reached: impl Fn(super::Stats) -> bool) {
        while !reached(self.signaling.stats()) {
            tokio::task::yield_now().await;
        }
    }
}

/// A media plane that takes everything and does nothing.
struct Listens;

impl Media for Listens {
    fn open_room(&self, _room: RoomId) -> Result<MediaRoom, Busy> {
        let (events, receiver) = mpsc::channel::<Event>(1);
        let events = Arc::new(events);
        let commands = Box::new(move |_: Command| {
            // The room's events end when nobody can send commands any more.
            let _ = &events;
            Ok(())
        });
        let endpoint = Endpoint { worker: 0, fingerprint: Fingerprint([0; 32]), candidates: Vec::new() };
        Ok(MediaRoom { endpoint, commands, events: receiver })
    }
}

fn claims(identity: &str) -> Claims {
    let video = VideoGrant { room_join: true, room: "room".into(), ..Default::default() };
    Claims {
        key: "devkey".into(),
        identity: identity.into(),
        expires: Some(NumericDate(4_000_000_000)),
        video: Some(video),
        ..Default::default()
    }
}

fn sign(claims: Claims) -> String {
    claims.sign(&Secret("secret".into())).unwrap()
}

fn token(identity: &str) -> String {
    sign(claims(identity))
}

async fn ask(socket: &mut Socket, ask: Ask) {
    let request = proto::SignalRequest { message: Some(ask) };
    socket.send(Frame::binary(request.encode_to_vec())).await.unwrap();
}

async fn next(socket: &mut Socket) -> Option<Say> {
    loop {
        match socket.next().await?.ok()? {
            Frame::Binary(bytes) => return proto::SignalResponse::decode(bytes).unwrap().message,
            Frame::Close(_) => return None,
            _ => {}
        }
    }
}

async fn wait_for(socket: &mut Socket, wanted: impl Fn(&Say) -> bool) -> Say {
    loop {
        let say = next(socket).await.expect("the WebSocket ended");
        if wanted(&say) {
            return say;
        }
    }
}

async fn close_code(socket: &mut Socket) -> Option<u16> {
    while let Some(Ok(frame)) = socket.next().await {
        if let Frame::Close(Some(close)) = frame {
            return Some(close.code.into());
        }
    }
    None
}
