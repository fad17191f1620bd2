//! A client's conversation with Janus: JSON over a WebSocket, one session, a handle of the VideoRoom plugin for each peer
//! connection.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, ClientRequestBuilder, Message},
};

const PLUGIN: &str = "janus.plugin.videoroom";

/// Why a conversation came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JanusError {
    #[error("{0}")]
    WebSocket(#[from] Box<tungstenite::Error>),
    #[error("not an address: {0}")]
    Url(#[from] tungstenite::http::uri::InvalidUri),
    #[error("the server hung up")]
    HungUp,
    #[error("the server refused: {0}")]
    Refused(String),
}

/// One peer connection, as Janus calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(u64);

/// What a plugin told.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) from: Handle,
    pub(crate) data: Value,
    /// Type and text of a description.
    pub(crate) jsep: Option<(String, String)>,
}

/// An open conversation.
pub(crate) struct Conversation {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: u64,
    transaction: u64,
    /// Events that came while an answer was waited for.
    early: VecDeque<Event>,
}

impl Conversation {
    pub(crate) async fn open(url: &str) -> Result<Self, JanusError> {
        let request = ClientRequestBuilder::new(url.parse()?).with_sub_protocol("janus-protocol");
        let (socket, _) = connect_async(request).await.map_err(Box::new)?;
        let mut conversation = Self { socket, session: 0, transaction: 0, early: VecDeque::new() };
        let answer = conversation.call(json!({ "janus": "create" })).await?;
        conversation.session = id(&answer)?;
        Ok(conversation)
    }

    /// A new handle of the plugin.
    pub(crate) async fn attach(&mut self) -> Result<Handle, JanusError> {
        let answer = self.call(json!({ "janus": "attach", "plugin": PLUGIN })).await?;
        Ok(Handle(id(&answer)?))
    }

    /// Makes a room; that somebody else made it already is fine.
    pub(crate) async fn make_room(&mut self, handle: Handle, room: u64) -> Result<(), JanusError> {
        let body = json!({
            "request": "create", "room": room, "publishers": 100_000, "bitrate": 20_000_000,
            "videocodec": "vp8,h264", "audiocodec": "opus", "notify_joining": false,
        });
        self.call(json!({ "janus": "message", "handle_id": handle.0, "body": body })).await?;
        Ok(())
    }

    /// Asks the plugin for something; what comes of it is an event.
    pub(crate) async fn ask(
        &mut self,
        handle: Handle,
        body: Value,
        jsep: Option<(&str, String)>,
    ) -> Result<(), JanusError> {
        let mut message = json!({ "janus": "message", "handle_id": handle.0, "body": body });
        if let (Some((kind, sdp)), Some(message)) = (jsep, message.as_object_mut()) {
            message.insert("jsep".into(), json!({ "type": kind, "sdp": sdp }));
        }
        self.send(message).await?;
        Ok(())
    }

    /// As the session asks for once a minute at least.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), JanusError> {
        self.send(json!({ "janus": "keepalive" })).await?;
        Ok(())
    }

    /// The next event of a handle.
    pub(crate) async fn next(&mut self) -> Result<Event, JanusError> {
        loop {
            if let Some(event) = self.early.pop_front() {
                return Ok(event);
            }
            let message = self.read().await?;
            self.keep(&message)?;
        }
    }

    /// Says good-bye.
    pub(crate) async fn leave(mut self) {
        let _ = self.send(json!({ "janus": "destroy" })).await;
        let _ = self.socket.close(None).await;
    }

    async fn call(&mut self, message: Value) -> Result<Value, JanusError> {
        let transaction = self.send(message).await?;
        loop {
            let message = self.read().await?;
            let ours = text(&message, "transaction") == Some(&*transaction);
            match text(&message, "janus") {
                Some("success") if ours => return Ok(message),
                Some("error") => return Err(refusal(&message)),
                _ => self.keep(&message)?,
            }
        }
    }

    async fn send(&mut self, mut message: Value) -> Result<String, JanusError> {
        self.transaction += 1;
        let transaction = self.transaction.to_string();
        if let Some(message) = message.as_object_mut() {
            message.insert("transaction".into(), json!(transaction));
            if self.session != 0 {
                message.insert("session_id".into(), json!(self.session));
            }
        }
        self.socket.send(Message::Text(message.to_string().into())).await.map_err(Box::new)?;
        Ok(transaction)
    }

    async fn read(&mut self) -> Result<Value, JanusError> {
        loop {
            let frame = self.socket.next().await.ok_or(JanusError::HungUp)?.map_err(Box::new)?;
            match frame {
                Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap_or_default()),
                Message::Close(_) => return Err(JanusError::HungUp),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    fn keep(&mut self, message: &Value) -> Result<(), JanusError> {
        match text(message, "janus") {
            Some("event") => {}
            Some("error") => return Err(refusal(message)),
            Some("timeout") => return Err(JanusError::HungUp),
            _ => return Ok(()),
        }
        let data = message.pointer("/plugindata/data").cloned().unwrap_or_default();
        if let Some(error) = text(&data, "error") {
            return Err(JanusError::Refused(error.to_owned()));
        }
        let from = Handle(message.get("sender").and_then(Value::as_u64).unwrap_or(0));
        let jsep = message.get("jsep");
        let jsep =
            jsep.and_then(|jsep| Some((text(jsep, "type")?.to_owned(), text(jsep, "sdp")?.to_owned())));
        self.early.push_back(Event { from, data, jsep });
        Ok(())
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn id(answer: &Value) -> Result<u64, JanusError> {
    let id = answer.pointer("/data/id").and_then(Value::as_u64);
    id.ok_or_else(|| JanusError::Refused("no id".into()))
}

fn refusal(message: &Value) -> JanusError {
    let reason = message.pointer("/error/reason").and_then(Value::as_str);
    JanusError::Refused(reason.unwrap_or("no reason given").to_owned())
}
