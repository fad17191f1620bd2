//! The server over real sockets: routes, the server API in both forms, and who is refused how.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod client;

use api::{
    app::App,
    config::{self, KeyPairs, Port, Settings, TurnSettings},
};
use client::{Answer, Ask};
use prost::Message;
use serde_json::{Value, json};
use sfu::params::Secret;
use signaling::{
    token::{Claims, NumericDate, VideoGrant},
    wire::proto,
};
use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};
use tokio::{sync::mpsc, task::JoinHandle};
use turn::{
    credentials::Minted,
    io::probe,
    tuple::{Family, Transport},
};

#[tokio::test]
async fn the_root_is_a_page_for_people_and_ok_for_everybody_else() {
    let server = Server::development().await;

    let health = server.ask(Ask::get("/")).await;
    let page = server.ask(Ask::get("/").header("accept", "text/html,*/*")).await;
    let room = server.ask(Ask::get("/r/some%20room")).await;

    assert_eq!((health.status, health.text().as_str()), (200, "OK"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(room.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(server.ask(Ask::get("/healthz")).await.text(), "OK");
    assert_eq!(server.ask(Ask::get("/readyz")).await.status, 200);
    assert_eq!(server.ask(Ask::get("/settings/regions")).await.status, 404);
    assert_eq!(server.ask(Ask::get("/nothing/here")).await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn whoever_may_join_gets_credentials_that_relay() {
    let any = Some(Port::Number(0));
    let turn = TurnSettings {
        enabled: Some(true),
        udp_port: any,
        tcp_port: any,
        tls_port: any,
        tls_self_signed: Some(true),
        ..TurnSettings::default()
    };
    let server = Server::start(Settings { turn, ..Settings::default() }).await;
    let path = "/api/turn/credentials";
    let join = |identity: &str| Claims {
        key: server.key.0.clone(),
        identity: identity.into(),
        expires: Some(NumericDate::of(SystemTime::now() + Duration::from_secs(60))),
        video: Some(VideoGrant { room_join: true, ..VideoGrant::default() }),
        ..Claims::default()
    };
    assert_eq!(server.ask(Ask::get(path)).await.status, 401);
    assert_eq!(server.ask(Ask::get(path).bearer("no.such.token")).await.status, 401);
    let list = server.token(VideoGrant { room_list: true, ..VideoGrant::default() });
    assert_eq!(server.ask(Ask::get(path).bearer(&list)).await.status, 403);

    let answer = server.ask(Ask::get(path).bearer(&join("ann").sign(&server.key.1).unwrap())).await;

    let told = answer.json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(told["ttl"], 4 * 3_600);
    let ours = &told["iceServers"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert!(text(&ours["username"]).ends_with(":ann"));
    let urls: Vec<String> = ours["urls"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(urls.len(), 3);
    let kinds = [
        ("turn:127.0.0.1:", "?transport=udp", Transport::Udp),
        ("turn:127.0.0.1:", "?transport=tcp", Transport::Tcp),
        ("turns:127.0.0.1:", "?transport=tcp", Transport::Tls),
    ];
    for (url, (before, after, transport)) in urls.iter().zip(kinds) {
        let port = url.strip_prefix(before).and_then(|url| url.strip_suffix(after)).unwrap();
        let relay = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let minted = Minted {
            username: text(&ours["username"]),
            password: turn::credentials::Secret::new(text(&ours["credential"])),
            expires: SystemTime::now(),
        };
        let probed = move || probe(relay, transport, Family::V4, &minted);
        tokio::task::spawn_blocking(probed).await.unwrap().unwrap();
    }
    let metrics = server.ask(Ask::get("/metrics")).await.text();
    assert!(metrics.contains("sabha_turn_allocations{"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn rooms_are_made_listed_and_deleted_in_json() {
    let server = Server::development().await;
    let token = server.token(VideoGrant { room_create: true, room_list: true, ..Default::default() });

    let made = json!({ "name": "one", "emptyTimeout": 60, "max_participants": 3, "fromTheFuture": 1 });
    let made = server.rooms("CreateRoom", &token, &made).await;
    let listed = server.rooms("ListRooms", &token, &json!({ "names": ["one", "two"] })).await;
    let deleted = server.rooms("DeleteRoom", &token, &json!({ "room": "one" })).await;
    let after = server.rooms("ListRooms", &token, &json!({})).await;

    assert_eq!(made.header("content-type"), Some("application/json"));
    let room = made.json();
    assert_eq!(
        (&room["name"], &room["empty_timeout"], &room["max_participants"]),
        (&json!("one"), &json!(60), &json!(3))
    );
    assert_eq!(room["num_participants"], 0, "defaults are written");
    assert!(room["creation_time"].is_string(), "64 bits are text");
    assert_eq!(listed.json()["rooms"][0]["sid"], room["sid"]);
    assert_eq!(listed.json()["rooms"].as_array().unwrap().len(), 1);
    assert_eq!((deleted.status, deleted.json()), (200, json!({})));
    assert_eq!(after.json(), json!({ "rooms": [] }));
    server.stop().await;
}

#[tokio::test]
async fn calls_in_protobuf_are_answered_in_protobuf() {
    let server = Server::development().await;
    let token = server.token(VideoGrant { room_create: true, room_list: true, ..Default::default() });
    let request = proto::CreateRoomRequest { name: "one".into(), metadata: "m".into(), ..Default::default() };

    let made =
        server.twirp("RoomService/CreateRoom", &token, "application/protobuf", request.encode_to_vec()).await;
    let listed = server.twirp("RoomService/ListRooms", &token, "application/protobuf", Vec::new()).await;

    assert_eq!((made.status, made.header("content-type")), (200, Some("application/protobuf")));
    let room = proto::Room::decode(made.body.as_slice()).unwrap();
    assert_eq!((room.name.as_str(), room.metadata.as_str()), ("one", "m"));
    assert_eq!(proto::ListRoomsResponse::decode(listed.body.as_slice()).unwrap().rooms.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn errors_are_json_whatever_the_call_was() {
    let server = Server::development().await;
    let token = server.token(VideoGrant { room_create: true, ..Default::default() });
    let request = proto::DeleteRoomRequest { room: "nowhere".into() };

    let refused =
        server.twirp("RoomService/DeleteRoom", &token, "application/protobuf", request.encode_to_vec()).await;

    assert_eq!((refused.status, refused.header("content-type")), (404, Some("application/json")));
    assert_eq!(
        refused.json(),
        json!({ "code": "not_found", "msg": "requested room does not exist", "meta": {} })
    );
    server.stop().await;
}

#[tokio::test]
async fn a_call_needs_the_grant_for_what_it_does_and_for_its_room() {
    let server = Server::development().await;
    let admin = server.token(VideoGrant { room_admin: true, room: "mine".into(), ..Default::default() });
    let creator = server.token(VideoGrant { room_create: true, ..Default::default() });
    server.rooms("CreateRoom", &creator, &json!({ "name": "mine" })).await;
    server.rooms("CreateRoom", &creator, &json!({ "name": "theirs" })).await;

    let allowed = server.rooms("ListParticipants", &admin, &json!({ "room": "mine" })).await;
    assert_eq!((allowed.status, allowed.json()), (200, json!({ "participants": [] })));
    let whole = server.rooms("UpdateRoomMetadata", &admin, &json!({ "room": "mine", "metadata": "x" })).await;
    assert_eq!(whole.json()["metadata"], "x");

    let refusals = [
        server.rooms("ListParticipants", &admin, &json!({ "room": "theirs" })).await,
        server.rooms("ListParticipants", &creator, &json!({ "room": "mine" })).await,
        server.rooms("ListRooms", &admin, &json!({})).await,
        server.rooms("CreateRoom", &admin, &json!({ "name": "mine" })).await,
        server.rooms("ListRooms", "", &json!({})).await,
    ];
    for refusal in refusals {
        assert_eq!(refusal.status, 401);
        let told = json!({ "code": "unauthenticated", "msg": "permissions denied", "meta": {} });
        assert_eq!(refusal.json(), told);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_missing_participant_is_not_found() {
    let server = Server::development().await;
    let admin = server.token(VideoGrant {
        room_admin: true,
        room_create: true,
        room: "r".into(),
        ..Default::default()
    });
    server.rooms("CreateRoom", &admin, &json!({ "name": "r" })).await;

    for method in ["GetParticipant", "RemoveParticipant"] {
        let refused = server.rooms(method, &admin, &json!({ "room": "r", "identity": "nobody" })).await;

        assert_eq!(refused.status, 404, "{method}");
        assert_eq!(refused.json()["msg"], "participant does not exist", "{method}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_a_call_says_what_is_wrong_with_it() {
    let server = Server::development().await;
    let token = server.token(VideoGrant { room_create: true, room_list: true, ..Default::default() });
    let json = "application/json";

    let cases = [
        (server.twirp("RoomService/NoSuchThing", &token, json, b"{}".to_vec()).await, 404, "bad_route"),
        (server.twirp("NoSuchService/ListRooms", &token, json, b"{}".to_vec()).await, 404, "bad_route"),
        (server.twirp("RoomService/ListRooms", &token, "text/plain", b"{}".to_vec()).await, 404, "bad_route"),
        (
            server.twirp("RoomService/ListRooms", &token, json, b"{\"names\":".to_vec()).await,
            400,
            "malformed",
        ),
        (server.twirp("RoomService/CreateRoom", &token, json, b"{}".to_vec()).await, 400, "invalid_argument"),
        (
            server.twirp("RoomService/CreateRoom", &token, "application/protobuf", vec![0xff; 9]).await,
            400,
            "malformed",
        ),
        (server.ask(Ask::get("/twirp/livekit.RoomService/ListRooms").bearer(&token)).await, 404, "bad_route"),
        (
            server.twirp("RoomService/MoveParticipant", &token, json, b"{}".to_vec()).await,
            501,
            "unimplemented",
        ),
    ];

    for (answer, status, code) in cases {
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let charset =
        server.twirp("RoomService/ListRooms", &token, "application/json;charset=UTF-8", b"{}".to_vec()).await;
    assert_eq!(charset.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn services_without_workers_have_empty_lists_and_say_what_is_missing() {
    let server = Server::development().await;
    let token = server.token(VideoGrant {
        room_record: true,
        ingress_admin: true,
        room_admin: true,
        room: "r".into(),
        ..Default::default()
    });
    let call = async |path: &str| server.twirp(path, &token, "application/json", b"{}".to_vec()).await;

    for (path, list) in [
        ("Egress/ListEgress", "items"),
        ("Ingress/ListIngress", "items"),
        ("SIP/ListSIPInboundTrunk", "items"),
        ("AgentDispatchService/ListDispatch", "agent_dispatches"),
    ] {
        assert_eq!(call(path).await.json(), json!({ list: [] }), "{path}");
    }
    let refused = call("Egress/StartRoomCompositeEgress").await;
    assert_eq!((refused.status, &refused.json()["code"]), (412, &json!("failed_precondition")));
    let nobody = server.twirp("Egress/ListEgress", "", "application/json", b"{}".to_vec()).await;
    assert_eq!(nobody.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn a_bad_token_is_401_in_plain_text_and_pages_may_read_it() {
    let server = Server::development().await;
    let expired = server.token_until(VideoGrant { room_list: true, ..Default::default() }, -3_600);

    for token in ["nonsense", expired.as_str()] {
        let ask = Ask::post("/twirp/livekit.RoomService/ListRooms", "application/json", b"{}".to_vec())
            .bearer(token)
            .header("origin", "https://app.example");
        let refused = server.ask(ask).await;

        assert_eq!(refused.status, 401);
        assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example"));
    }
    let ask = Ask::post("/twirp/livekit.RoomService/ListRooms", "application/json", b"{}".to_vec())
        .header("authorization", "bearer x");
    assert_eq!(server.ask(ask).await.status, 401, "the prefix is exact");
    server.stop().await;
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_first() {
    let server = Server::development().await;
    let ask = Ask::new("OPTIONS", "/twirp/livekit.RoomService/ListRooms")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-livekit-request-id");

    let answer = server.ask(ask).await;

    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,x-livekit-request-id"));
    assert_eq!(answer.header("access-control-max-age"), Some("86400"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PATCH"));
    server.stop().await;
}

#[tokio::test]
async fn two_leading_slashes_count_as_one() {
    let server = Server::development().await;

    let refused = server.ask(Ask::get("//rtc/validate?access_token=x")).await;

    assert_eq!(refused.status, 401, "it is a route");
    assert_eq!(server.ask(Ask::get("///healthz")).await.text(), "OK");
    server.stop().await;
}

#[tokio::test]
async fn a_body_above_ten_mebibytes_is_413() {
    let server = Server::development().await;
    let token = server.token(VideoGrant { room_create: true, ..Default::default() });
    let body = vec![b' '; (10 << 20) + 1];

    let answer = server.twirp("RoomService/CreateRoom", &token, "application/json", body).await;

    assert_eq!(answer.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn the_page_gets_tokens_in_development_mode_only() {
    let development = Server::development().await;
    let production = Server::production().await;
    let wish = json!({ "room": "r", "name": "Ann" }).to_string().into_bytes();
    let ask = || Ask::post("/api/token", "application/json", wish.clone());

    let given = development.ask(ask()).await;
    let refused = production.ask(ask()).await;
    let wrong =
        development.ask(Ask::post("/api/token", "application/json", b"{\"room\":\" \"}".to_vec())).await;

    let token = given.json()["token"].as_str().unwrap().to_owned();
    let valid = development.ask(Ask::get(&format!("/rtc/validate?access_token={token}"))).await;
    assert_eq!((valid.status, valid.text().as_str()), (200, "success"));
    assert_eq!(refused.status, 404);
    assert_eq!((wrong.status, wrong.json()["message"].is_string()), (400, true));
    development.stop().await;
    production.stop().await;
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let server = Server::development().await;
    let token = server.token(VideoGrant { room_create: true, ..Default::default() });
    server.rooms("CreateRoom", &token, &json!({ "name": "one" })).await;
    server.rooms("ListRooms", &token, &json!({})).await;

    let page = server.ask(Ask::get("/metrics")).await;

    let text = page.text();
    let value = |start: &str, labels: &[&str]| {
        let found = text
            .lines()
            .find(|line| line.starts_with(start) && labels.iter().all(|label| line.contains(label)));
        found.unwrap_or_else(|| panic!("{start} {labels:?} in {text}")).rsplit(' ').next().unwrap().to_owned()
    };
    assert!(page.header("content-type").unwrap().starts_with("text/plain"));
    assert_eq!(value("livekit_room_total", &["node_id=\"ND_", "node_type=\"SERVER\""]), "1");
    let calls = "livekit_node_twirp_request_status";
    assert_eq!(value(calls, &["method=\"CreateRoom\"", "code=\"ok\""]), "1");
    assert_eq!(value(calls, &["method=\"ListRooms\"", "code=\"unauthenticated\""]), "1");
    assert_eq!(value("sabha_dropped_total", &["reason=\"stun_malformed\""]), "0");
    for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
        assert_eq!(text.matches(line).count(), 1, "{line} twice");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stop_ends_open_connections() {
    let server = Server::development().await;
    let idle = tokio::net::TcpStream::connect(server.addr).await.unwrap();

    tokio::time::timeout(Duration::from_secs(5), server.stop()).await.unwrap();

    let mut byte = [0];
    idle.readable().await.unwrap();
    assert_eq!(idle.try_read(&mut byte).unwrap(), 0);
}

/// A server on ports of its own.
struct Server {
    addr: SocketAddr,
    key: (String, Secret<String>),
    stop: mpsc::Sender<()>,
    running: JoinHandle<()>,
}

impl Server {
    async fn development() -> Self {
        Self::start(Settings::default()).await
    }

    async fn production() -> Self {
        let keys: KeyPairs = "own: 0123456789abcdef0123456789abcdef".parse().unwrap();
        Self::start(Settings { keys: Some(keys), ..Settings::default() }).await
    }

    async fn start(settings: Settings) -> Self {
        let here = [127, 0, 0, 1].into();
        let settings = Settings {
            bind: Some(vec![here]),
            port: Some(0),
            rtc_bind: Some(here),
            udp_port: Some(0),
            tcp_port: Some(Port::Off),
            workers: Some(1),
            ..settings
        };
        let app = App::start(config::load(settings, None, &|_| None).unwrap()).await.unwrap();
        let addr = *app.http().first().unwrap();
        let (key, secret) = app.config().keys.first_key_value().unwrap();
        let key = (key.clone(), secret.clone());
        let (stop, stopped) = mpsc::channel(2);
        let running = tokio::spawn(async move { app.run(stopped).await.unwrap() });
        Self { addr, key, stop, running }
    }

    async fn stop(self) {
        self.stop.send(()).await.unwrap();
        self.running.await.unwrap();
    }

    fn token(&self, grant: VideoGrant) -> String {
        self.token_until(grant, 600)
    }

    fn token_until(&self, grant: VideoGrant, seconds: i64) -> String {
        let now = NumericDate::of(SystemTime::now()).0;
        let claims = Claims {
            key: self.key.0.clone(),
            expires: Some(NumericDate(now.saturating_add_signed(seconds))),
            video: Some(grant),
            ..Claims::default()
        };
        claims.sign(&self.key.1).unwrap()
    }

    async fn ask(&self, ask: Ask) -> Answer {
        client::ask(self.addr, ask).await
    }

    async fn rooms(&self, method: &str, token: &str, body: &Value) -> Answer {
        self.twirp(&format!("RoomService/{method}"), token, "application/json", body.to_string().into_bytes())
            .await
    }

    async fn twirp(&self, path: &str, token: &str, kind: &str, body: Vec<u8>) -> Answer {
        let ask = Ask::post(&format!("/twirp/livekit.{path}"), kind, body);
        self.ask(if token.is_empty() { ask } else { ask.bearer(token) }).await
    }
}
