//! One WebSocket: frames in, frames out, pings, and its end.
//!
//! Invariants: what is written is never ahead of what the client reads by more than the queue holds; a client that is
//! silent at every level for long is gone; the room always learns of the end.

use std::time::Duration;

use axum::{
    extract::{
        WebSocketUpgrade,
        ws::{CloseFrame, Message as WsMessage, WebSocket, close_code},
    },
    response::Response,
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::task::{Message, Outgoing};
use crate::{
    ids::SessionId,
    wire::{
        Ask, Say,
        frame::{self, Encoding, Frame},
    },
};

/// How often a WebSocket is pinged (RFC 6455 §5.5.2).
const PING_EVERY: Duration = Duration::from_secs(10);
/// A WebSocket nothing came through for this long is dead.
const SILENCE_MAX: Duration = Duration::from_secs(35);
/// A frame that cannot be written for this long will not be.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// What was sent has this long to leave before the close.
const FLUSH_MAX: Duration = Duration::from_millis(250);
/// Frames nobody can read, before the client is given up.
const MALFORMED_MAX: u32 = 16;

type Writer = SplitSink<WebSocket, WsMessage>;
type Reader = SplitStream<WebSocket>;

/// Serves a session until either side ends it.
pub(super) fn serve(
    upgrade: WebSocketUpgrade,
    session: SessionId,
    inbox: mpsc::Sender<Message>,
    queue: mpsc::Receiver<Outgoing>,
) -> Response {
    let end = End { session, inbox: inbox.clone() };
    upgrade.on_upgrade(move |socket| async move {
        let _end = end;
        Pump { session, inbox, queue, encoding: Encoding::default(), malformed: 0 }.run(socket).await;
    })
}

/// Opens, says one thing, closes.
pub(super) fn say_and_close(upgrade: WebSocketUpgrade, say: Say) -> Response {
    upgrade.on_upgrade(move |socket| async move {
        let (mut writer, mut reader) = socket.split();
        let _ = write(&mut writer, &say, Encoding::default()).await;
        close(&mut writer, &mut reader, close_code::NORMAL).await;
    })
}

/// Tells the room that the WebSocket is gone, also when the upgrade never happens.
struct End {
    session: SessionId,
    inbox: mpsc::Sender<Message>,
}

impl Drop for End {
    fn drop(&mut self) {
        let (session, inbox) = (self.session, self.inbox.clone());
        // Without a runtime the room is gone too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = inbox.send(Message::Lost(session)).await;
            });
        }
    }
}

struct Pump {
    session: SessionId,
    inbox: mpsc::Sender<Message>,
    queue: mpsc::Receiver<Outgoing>,
    encoding: Encoding,
    malformed: u32,
}

/// What the pump does next.
enum Then {
    Continue,
    /// Close with this code.
    Close(u16),
    /// The client closed: it waits for our word.
    Closed,
    /// The socket is gone.
    Gone,
}

impl Pump {
    async fn run(mut self, socket: WebSocket) {
        let (mut writer, mut reader) = socket.split();
        let mut ping = tokio::time::interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let mut silence = Box::pin(tokio::time::sleep(SILENCE_MAX));
        loop {
            let then = tokio::select! {
                outgoing = self.queue.recv() => self.outgoing(&mut writer, outgoing).await,
                incoming = reader.next() => {
                    silence.as_mut().reset(tokio::time::Instant::now() + SILENCE_MAX);
                    match incoming {
                        Some(Ok(message)) => self.incoming(message).await,
                        Some(Err(_)) | None => Then::Gone,
                    }
                }
                _ = ping.tick() => send(&mut writer, WsMessage::Ping(Vec::new().into())).await,
                () = silence.as_mut() => Then::Gone,
            };
            match then {
                Then::Continue => {}
                Then::Close(code) => return close(&mut writer, &mut reader, code).await,
                Then::Closed => {
                    let _ = tokio::time::timeout(FLUSH_MAX, writer.close()).await;
                    return;
                }
                Then::Gone => return,
            }
        }
    }

    async fn outgoing(&mut self, writer: &mut Writer, outgoing: Option<Outgoing>) -> Then {
        match outgoing {
            Some(Outgoing::Say(say)) => {
                tracing::trace!(session = %self.session, ?say);
                write(writer, &say, self.encoding).await
            }
            Some(Outgoing::Close) => Then::Close(close_code::NORMAL),
            // The room gave this client up without a farewell: it should come back.
            None => Then::Close(close_code::ERROR),
        }
    }

    async fn incoming(&mut self, message: WsMessage) -> Then {
        let read = match &message {
            WsMessage::Binary(bytes) => {
                self.encoding = Encoding::Protobuf;
                frame::read_binary(bytes)
            }
            WsMessage::Text(text) => {
                self.encoding = Encoding::Json;
                frame::read_text(text)
            }
            WsMessage::Ping(_) | WsMessage::Pong(_) => return Then::Continue,
            WsMessage::Close(_) => return Then::Closed,
        };
        match read {
            Ok(Some(ask)) => self.deliver(ask).await,
            Ok(None) => Then::Continue,
            Err(error) => self.malformed(&error),
        }
    }

    async fn deliver(&self, ask: Ask) -> Then {
        tracing::trace!(session = %self.session, ?ask);
        match self.inbox.send(Message::Ask(self.session, Box::new(ask))).await {
            Ok(()) => Then::Continue,
            // The room is over; what it said last is in the queue.
            Err(_) => Then::Continue,
        }
    }

    fn malformed(&mut self, error: &frame::FrameError) -> Then {
        tracing::debug!(session = %self.session, %error, "frame dropped");
        self.malformed = self.malformed.saturating_add(1);
        if self.malformed > MALFORMED_MAX { Then::Close(close_code::INVALID) } else { Then::Continue }
    }
}

async fn write(writer: &mut Writer, say: &Say, encoding: Encoding) -> Then {
    match frame::write(say, encoding) {
        Ok(Frame::Binary(bytes)) => send(writer, WsMessage::Binary(bytes)).await,
        Ok(Frame::Text(text)) => send(writer, WsMessage::Text(text.into())).await,
        Err(error) => {
            tracing::warn!(%error, "message cannot be written");
            Then::Continue
        }
    }
}

async fn send(writer: &mut Writer, message: WsMessage) -> Then {
    match tokio::time::timeout(WRITE_MAX, writer.send(message)).await {
        Ok(Ok(())) => Then::Continue,
        Ok(Err(_)) | Err(_) => Then::Gone,
    }
}

/// Says that nothing follows and waits for the client to agree (RFC 6455 §7.1.1): a socket that is dropped with unread
/// bytes is reset, and what was sent last may be lost with it.
async fn close(writer: &mut Writer, reader: &mut Reader, code: u16) {
    let farewell = WsMessage::Close(Some(CloseFrame { code, reason: "".into() }));
    let agreed = async {
        if writer.send(farewell).await.is_ok() {
            while let Some(Ok(_)) = reader.next().await {}
        }
    };
    let _ = tokio::time::timeout(FLUSH_MAX, agreed).await;
}
