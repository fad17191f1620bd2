//! A client's conversation with a LiveKit-compatible server: one WebSocket, one peer connection (`/rtc/v1`).

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use sfu::params::Secret;
use signaling::{
    token::{Claims, NumericDate, TokenError, VideoGrant},
    wire::{Ask, Say, proto},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

use crate::scenario::{Device, Kind, Source};

/// Long enough for any run.
const LIFETIME: Duration = Duration::from_hours(6);
/// What the newest clients of this path speak.
const PROTOCOL: i32 = 17;

/// Why a conversation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveKitError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("{0}")]
    WebSocket(#[from] Box<tungstenite::Error>),
    #[error("the server hung up")]
    HungUp,
}

/// Who wants in, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Access<'a> {
    pub(crate) url: &'a str,
    pub(crate) key: &'a str,
    pub(crate) secret: &'a Secret<String>,
    pub(crate) room: &'a str,
    pub(crate) identity: &'a str,
    pub(crate) publishes: bool,
    pub(crate) subscribes: bool,
    pub(crate) adaptive: bool,
}

impl Access<'_> {
    fn token(&self) -> Result<String, TokenError> {
        let claims = Claims {
            key: self.key.to_owned(),
            identity: self.identity.to_owned(),
            expires: Some(NumericDate::of(SystemTime::now() + LIFETIME)),
            video: Some(VideoGrant {
                room_join: true,
                room: self.room.to_owned(),
                can_publish: Some(self.publishes),
                can_subscribe: Some(self.subscribes),
                can_publish_data: Some(false),
                ..VideoGrant::default()
            }),
            ..Claims::default()
        };
        claims.sign(self.secret)
    }
}

/// What is sent of a device, as it is announced.
pub(crate) fn add_track(cid: &str, device: &Device) -> proto::AddTrackRequest {
    let (r#type, source) = match device.source {
        Source::Microphone => (proto::TrackType::Audio, proto::TrackSource::Microphone),
        Source::Camera => (proto::TrackType::Video, proto::TrackSource::Camera),
        Source::Screen => (proto::TrackType::Video, proto::TrackSource::ScreenShare),
    };
    let top = device.layers.last();
    let qualities: &[proto::VideoQuality] = match device.layers.len() {
        1 => &[proto::VideoQuality::High],
        2 => &[proto::VideoQuality::Low, proto::VideoQuality::High],
        _ => &[proto::VideoQuality::Low, proto::VideoQuality::Medium, proto::VideoQuality::High],
    };
    let layers = device.layers.iter().zip(qualities).map(|(layer, quality)| proto::VideoLayer {
        quality: (*quality).into(),
        width: layer.width.into(),
        height: layer.height.into(),
        bitrate: layer.kbps * 1_000,
        ..proto::VideoLayer::default()
    });
    let layers: Vec<_> = if device.kind == Kind::Video { layers.collect() } else { Vec::new() };
    let codec = format!("{:?}", device.codec).to_lowercase();
    let codecs = vec![proto::SimulcastCodec {
        codec,
        cid: cid.to_owned(),
        layers: layers.clone(),
        ..proto::SimulcastCodec::default()
    }];
    proto::AddTrackRequest {
        cid: cid.to_owned(),
        name: cid.to_owned(),
        r#type: r#type.into(),
        source: source.into(),
        width: top.map_or(0, |layer| layer.width.into()),
        height: top.map_or(0, |layer| layer.height.into()),
        layers,
        simulcast_codecs: if device.kind == Kind::Video { codecs } else { Vec::new() },
        disable_red: true,
        ..proto::AddTrackRequest::default()
    }
}

/// An open conversation.
pub(crate) struct Conversation {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Conversation {
    /// Opens a conversation with a description and the tracks it carries.
    pub(crate) async fn open(
        access: &Access<'_>,
        offer: String,
        tracks: Vec<proto::AddTrackRequest>,
    ) -> Result<Self, LiveKitError> {
        let request = proto::JoinRequest {
            client_info: Some(proto::ClientInfo {
                sdk: proto::client_info::Sdk::Rust.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                protocol: PROTOCOL,
                ..proto::ClientInfo::default()
            }),
            connection_settings: Some(proto::ConnectionSettings {
                auto_subscribe: access.subscribes,
                adaptive_stream: access.adaptive,
                ..proto::ConnectionSettings::default()
            }),
            add_track_requests: tracks,
            publisher_offer: Some(description("offer", offer, 1)),
            ..proto::JoinRequest::default()
        };
        let wrapped = proto::WrappedJoinRequest { compression: 0, join_request: request.encode_to_vec() };
        let wrapped = URL_SAFE.encode(wrapped.encode_to_vec()).replace('=', "%3D");
        let (base, token) = (access.url.trim_end_matches('/'), access.token()?);
        let url = format!("{base}/rtc/v1?access_token={token}&join_request={wrapped}");
        let (socket, _) = connect_async(url).await.map_err(Box::new)?;
        Ok(Self { socket })
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<(), LiveKitError> {
        let request = proto::SignalRequest { message: Some(ask) };
        let frame = Message::Binary(request.encode_to_vec().into());
        Ok(self.socket.send(frame).await.map_err(Box::new)?)
    }

    /// The next message, but for those whose field number is in `skipped`: they are not even read.
    pub(crate) async fn next(&mut self, skipped: &[u8]) -> Result<Say, LiveKitError> {
        loop {
            let frame = self.socket.next().await.ok_or(LiveKitError::HungUp)?.map_err(Box::new)?;
            let bytes = match frame {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return Err(LiveKitError::HungUp),
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            // A field's key is its number and wire type 2, in one byte for numbers below 16.
            if bytes.first().is_some_and(|key| skipped.contains(&(key >> 3)) && *key & 0x87 == 2) {
                continue;
            }
            if let Ok(proto::SignalResponse { message: Some(say) }) = proto::SignalResponse::decode(bytes) {
                return Ok(say);
            }
        }
    }

    /// Says good-bye.
    pub(crate) async fn leave(mut self) {
        let leave = proto::LeaveRequest {
            reason: proto::DisconnectReason::ClientInitiated.into(),
            ..proto::LeaveRequest::default()
        };
        let _ = self.ask(Ask::Leave(leave)).await;
        let _ = self.socket.close(None).await;
    }
}

pub(crate) fn description(r#type: &str, sdp: String, id: u32) -> proto::SessionDescription {
    proto::SessionDescription { r#type: r#type.to_owned(), sdp, id, ..proto::SessionDescription::default() }
}
