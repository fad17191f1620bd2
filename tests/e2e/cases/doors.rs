//! The doors: health, tokens and every refusal that must be an HTTP status before the upgrade.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Journey;
use crate::stage::failure::{Step, promise};
use crate::stage::http;
use crate::stage::token::Token;
use crate::stage::world::World;

pub(super) const ALL: &[Journey] = &[
    ("doors::a_good_token_is_valid_and_opens_a_socket", a_good_token),
    ("doors::every_bad_token_is_refused_before_the_upgrade", every_bad_token),
    ("doors::browsers_of_any_origin_may_ask", any_origin),
    ("doors::health_readiness_and_metrics_answer", health),
    ("doors::doctor_finds_a_taken_port_and_an_unreachable_address", doctor),
    ("doors::a_token_made_on_the_command_line_opens_the_door", token_of_the_command_line),
];

const WAYS: [&str; 2] = ["/rtc", "/rtc/v1"];
/// RFC 2544 addresses of nobody in the street.
const NOBODY: &str = "198.18.0.250";

fn a_good_token(world: &mut World) -> Step {
    let server = world.server.address();
    let token = Token::join(&world.room(), "ada").mint();
    for way in WAYS {
        let answer =
            http::get(server, &format!("{way}/validate?access_token={token}&{}", join_request(way)))?;
        promise(answer.status == 200 && answer.body.trim() == "success", || {
            format!("{way}/validate: {answer:?}")
        })?;
    }
    let answer =
        http::upgrade(server, &format!("/rtc?access_token={token}&protocol=16&sdk=js&version=2.9.0"))?;
    promise(answer.status == 101, || format!("/rtc: {answer:?}"))?;
    let double = http::get(server, &format!("//rtc/validate?access_token={token}"))?;
    promise(double.status == 200, || format!("a doubled slash: {double:?}"))?;
    let plain = http::get(server, &format!("/rtc?access_token={token}"))?;
    promise(plain.status == 404, || format!("no upgrade asked for: {plain:?}"))
}

fn every_bad_token(world: &mut World) -> Step {
    let server = world.server.address();
    let good = || Token::join("doors", "ada");
    let long = "x".repeat(257);
    let cases: Vec<(&str, Option<String>, u16)> = vec![
        ("no token", None, 401),
        ("not a token", Some("nonsense".into()), 401),
        ("a wrong secret", Some(good().secret("another").mint()), 401),
        ("an unknown key", Some(good().key("nobody").mint()), 401),
        ("expired", Some(good().expired(Duration::from_secs(3600)).mint()), 401),
        (
            "not yet valid",
            Some(good().claim("nbf", json!(4_000_000_000_u64)).claim("exp", json!(4_000_003_600_u64)).mint()),
            401,
        ),
        ("no signature", Some(unsigned()), 401),
        ("no right to join", Some(good().grant("roomJoin", false).mint()), 401),
        ("no grants", Some(good().claim("video", Value::Null).mint()), 401),
        ("no room", Some(good().grant("room", "").mint()), 400),
        ("no identity", Some(good().claim("sub", json!("")).mint()), 400),
        ("a long identity", Some(good().claim("sub", json!(long)).mint()), 400),
        ("a long room", Some(Token::join(&long, "ada").mint()), 400),
    ];
    for (what, token, status) in cases {
        let token = token.map_or(String::new(), |token| format!("access_token={token}&"));
        for way in WAYS {
            let query = format!("{token}{}", join_request(way));
            let validated = http::get(server, &format!("{way}/validate?{query}"))?;
            promise(validated.status == status, || {
                format!("{what}: {way}/validate says {validated:?}, not {status}")
            })?;
            let upgraded = http::upgrade(server, &format!("{way}?{query}"))?;
            promise(upgraded.status == status, || format!("{what}: {way} says {upgraded:?}, not {status}"))?;
        }
    }
    Ok(())
}

/// A JoinRequest of a client that says who it is: WrappedJoinRequest{join_request: JoinRequest{client_info{sdk: JS, protocol: 16}}}.
fn join_request(way: &str) -> &'static str {
    if way == "/rtc" { "protocol=16&sdk=js" } else { "join_request=EgYKBAgBGBA=" }
}

/// `{"alg":"none"}` and the claims of an administrator.
fn unsigned() -> String {
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpc3MiOiJkZXZrZXkiLCJzdWIiOiJhZGEiLCJleHAiOjQwMDAwMDAwMDAsInZpZGVvIjp7InJvb21Kb2luIjp0cnVlLCJyb29tIjoiZG9vcnMifX0.".into()
}

fn any_origin(world: &mut World) -> Step {
    let server = world.server.address();
    let origin = [("Origin", "https://elsewhere.example")];
    let refused = http::request(server, "GET", "/rtc/validate?access_token=nonsense", &origin, "")?;
    promise(refused.status == 401 && !refused.header("access-control-allow-origin").is_empty(), || {
        format!("{refused:?}")
    })?;
    let asking = [
        ("Origin", "https://elsewhere.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let answer = http::request(server, "OPTIONS", "/twirp/livekit.RoomService/ListRooms", &asking, "")?;
    promise(answer.status < 300 && !answer.header("access-control-allow-origin").is_empty(), || {
        format!("{answer:?}")
    })
}

fn health(world: &mut World) -> Step {
    world.server.sabha()?;
    let server = world.server.address();
    for target in ["/healthz", "/readyz"] {
        let answer = http::get(server, target)?;
        promise(answer.status == 200, || format!("{target}: {answer:?}"))?;
    }
    let metrics = http::get(server, "/metrics")?;
    promise(metrics.status == 200 && metrics.body.contains("# TYPE "), || format!("/metrics: {metrics:?}"))
}

fn doctor(world: &mut World) -> Step {
    world.server.sabha()?;
    world.network.street()?;
    let port = world.server.address().port().to_string();
    // The server of this run holds the ports.
    let (code, said) = world.sabha(&["doctor", "--bind", "0.0.0.0", "--node-ip", NOBODY])?;
    promise(code != 0, || format!("all is said to be well:\n{said}"))?;
    promise(said.contains(&port), || format!("the taken port {port} is not named:\n{said}"))?;
    promise(said.contains(NOBODY), || format!("the unreachable address {NOBODY} is not named:\n{said}"))
}

fn token_of_the_command_line(world: &mut World) -> Step {
    let words = ["token", "create", "--room", "doors", "--identity", "ada"];
    let (code, said) = world.sabha(&words)?;
    promise(code == 0, || format!("`sabha token create` ended with {code}: {said}"))?;
    let token = said.split_whitespace().find(|word| word.starts_with("eyJ")).unwrap_or_default();
    let answer = http::get(world.server.address(), &format!("/rtc/validate?access_token={token}"))?;
    promise(answer.status == 200, || format!("the token `{token}` is refused: {answer:?}"))
}
