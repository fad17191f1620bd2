//! SCTP (RFC 9260) over DTLS (RFC 8261): one association, of which the client is the initiator.
//!
//! The protocol itself is `sctp-proto`'s; this file alone drives it. libwebrtc, pion, webrtc-rs and, as the controlling
//! side of ICE, aiortc all send INIT whatever the other side does, so we wait for it: with both sides initiating there
//! would be a collision to resolve (RFC 9260 §5.2) and nothing to gain.
//!
//! Invariant: what an incomplete or unread message keeps in memory stays below [`RECEIVE_MAX`] bytes in at most
//! [`HELD_CHUNKS_MAX`] chunks.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use sctp_proto::{
    Association as Library, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    ServerConfig, StreamEvent, TransportConfig,
};

use super::{MESSAGE_MAX, STREAMS_MAX};

/// The user data of one DATA chunk: 1200 bytes less DTLS (13 + 8 + 16) and SCTP (12 + 16), in whole words.
const CHUNK_DATA_MAX: u32 = 1132;
/// Receive window: two of the longest messages and some small ones. Higher: faster bulk from far away. Lower: less
/// memory for a client that withholds the end of its messages.
const RECEIVE_MAX: u32 = 256 * 1024;
/// Window or not, tiny chunks cost far more than their bytes: at some 250 bytes each this is 2 MiB, and the library looks
/// through all of them for each that comes. Higher: longer bursts of small messages behind a lost one.
const HELD_CHUNKS_MAX: u64 = 8 * 1024;
/// Milliseconds. The path was measured by ICE and DTLS already; a first INIT-ACK that is lost should not cost seconds.
const RTO_INITIAL: u64 = 500;
/// Milliseconds: above the delay of acknowledgements (200 ms) and some.
const RTO_MIN: u64 = 400;
/// Milliseconds: an outage that ICE survives is noticed soon after it ended.
const RTO_MAX: u64 = 5_000;
/// RFC 9260 §3.3.3: a selective acknowledgement.
const CHUNK_SACK: u8 = 3;

/// What happens on the association.
#[derive(Debug)]
pub(super) enum Occurrence {
    /// It is up.
    Up,
    /// Messages can be read from a stream.
    Readable(u16),
    /// A stream was reset.
    Finished(u16),
    /// It is gone; another may follow.
    Down,
}

/// The one association with the client, or the wait for it.
pub(super) struct Association {
    endpoint: Endpoint,
    up: Option<(AssociationHandle, Library)>,
    /// DATA chunks that were read as part of a message, or are known to be held no more.
    chunks_done: u64,
}

impl Association {
    pub(super) fn new() -> Self {
        Self { endpoint: endpoint(), up: None, chunks_done: 0 }
    }

    /// Reads one packet. Whatever cannot be read is dropped.
    pub(super) fn handle(&mut self, packet: &[u8], now: Instant) {
        let packet = Bytes::copy_from_slice(packet);
        let Some((handle, event)) = self.endpoint.handle(now, NOWHERE, None, None, packet) else { return };
        match event {
            DatagramEvent::NewAssociation(library) => {
                self.chunks_done = 0;
                self.up = Some((handle, library));
            }
            DatagramEvent::AssociationEvent(event) => {
                if let Some((known, library)) = &mut self.up
                    && *known == handle
                {
                    library.handle_event(event);
                }
            }
        }
        if self.holds_too_much() {
            self.close();
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if let Some((_, library)) = &mut self.up {
            library.handle_timeout(now);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.up.as_ref()?.1.poll_timeout()
    }

    /// The streams, while it is up.
    pub(super) fn library(&mut self) -> Option<&mut Library> {
        self.up.as_mut().map(|(_, library)| library)
    }

    /// The next thing that happened.
    pub(super) fn poll(&mut self) -> Option<Occurrence> {
        let (_, library) = self.up.as_mut()?;
        while let Some(event) = library.poll() {
            match event {
                Event::Connected => return Some(Occurrence::Up),
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => {
                    return Some(Occurrence::Down);
                }
                Event::Stream(StreamEvent::Opened { .. }) if library.stream_ids().len() > STREAMS_MAX => {
                    self.close();
                    return self.poll();
                }
                Event::Stream(StreamEvent::Readable { id }) => return Some(Occurrence::Readable(id)),
                Event::Stream(StreamEvent::Finished { id }) => return Some(Occurrence::Finished(id)),
                Event::Stream(_) | Event::DataChannelStatsFinal(_) | Event::DatagramReceived | _ => {}
            }
        }
        None
    }

    /// The next packets for the client.
    pub(super) fn transmit(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        let (_, library) = self.up.as_mut()?;
        let Payload::RawEncode(packets) = library.poll_transmit(now)?.payload else {
            return Some(Vec::new());
        };
        if packets.iter().any(|packet| says_all_is_read(packet)) {
            self.chunks_done = library.stats().get_num_datas();
        }
        Some(packets)
    }

    /// A message of this many chunks was read.
    pub(super) fn read(&mut self, chunks: usize) {
        self.chunks_done = self.chunks_done.saturating_add(u64::try_from(chunks).unwrap_or(u64::MAX));
    }

    /// Ends it, which [`Self::poll`] will tell.
    pub(super) fn close(&mut self) {
        if let Some((_, library)) = &mut self.up {
            // It fails only where there is nothing left to close.
            let _ = library.close();
        }
    }

    /// Waits for another INIT.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Chunks that came and were neither read nor acknowledged as read. Repetitions count as well, which is why
    /// [`says_all_is_read`] sets the count straight.
    fn holds_too_much(&self) -> bool {
        let Some((_, library)) = &self.up else { return false };
        library.stats().get_num_datas().saturating_sub(self.chunks_done) > HELD_CHUNKS_MAX
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.up {
            None => "waiting",
            Some((_, library)) if library.is_closed() => "closed",
            Some((_, library)) if library.is_handshaking() => "handshaking",
            Some(_) => "up",
        };
        f.write_str(state)
    }
}

/// Addresses mean nothing here: packets travel inside DTLS.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 5000);

fn endpoint() -> Endpoint {
    let streams_max = u16::try_from(STREAMS_MAX).unwrap_or(u16::MAX);
    let message_max = u32::try_from(MESSAGE_MAX).unwrap_or(u32::MAX);
    let transport = TransportConfig::default()
        .with_max_receive_buffer_size(RECEIVE_MAX)
        .with_max_receive_message_size(message_max)
        .with_max_send_message_size(message_max)
        .with_max_num_inbound_streams(streams_max)
        .with_max_num_outbound_streams(streams_max)
        // Whether the client is still there is for ICE to say.
        .with_max_init_retransmits(None)
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(RTO_INITIAL)
        .with_rto_min_ms(RTO_MIN)
        .with_rto_max_ms(RTO_MAX);
    let mut server = ServerConfig::default();
    server.transport = Arc::new(transport);
    let mut config = EndpointConfig::new();
    config.max_payload_size(CHUNK_DATA_MAX);
    Endpoint::new(Arc::new(config), Some(Arc::new(server)))
}

/// Whether a packet of ours acknowledges data with the whole window open: nothing is held then.
fn says_all_is_read(packet: &[u8]) -> bool {
    let Some(&[kind, _, _, _, _, _, _, _, w0, w1, w2, w3]) = packet.get(12..24) else { return false };
    kind == CHUNK_SACK && u32::from_be_bytes([w0, w1, w2, w3]) == RECEIVE_MAX
}
