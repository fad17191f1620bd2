//! Data channels (RFC 8831): messages with a label, over SCTP, over DTLS.
//!
//! Invariants:
//! - a message is delivered whole or not at all, and never longer than [`MESSAGE_MAX`];
//! - what waits for the client, or for a channel to open, stays within limits: the sender is told when it is full;
//! - labels, not stream ids, say which channel it is, except where ids were agreed upon beforehand.

mod association;
mod dcep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use bytes::Bytes;
use sctp_proto::{PayloadProtocolIdentifier as Ppid, ReliabilityType, Stream};

pub use self::dcep::{DcepError, Message as DcepMessage, Open, Ordering, Reliability};
use self::{
    association::{Association, Occurrence},
    dcep::Message,
};
use crate::params::{Channel, ChannelSetup};

/// The longest message in either direction, as LiveKit's clients have it.
pub const MESSAGE_MAX: usize = 64_000;
/// As libwebrtc has it. Higher: nobody needs more. Lower: less memory for a client that opens all it can.
const STREAMS_MAX: usize = 1024;
/// What may wait for channels that are not open yet. Higher: survives a slower join. Lower: less memory per stranger.
const PENDING_MAX: usize = 100_000;
/// Small messages cost more than their bytes.
const PENDING_MESSAGES_MAX: usize = 1024;
/// What may wait on a reliable channel. Higher: survives a longer outage. Lower: a stuck client is noticed sooner.
const BUFFERED_RELIABLE_MAX: usize = 1024 * 1024;
/// What may wait on a channel whose messages may be lost: what is old there is worth nothing.
const BUFFERED_LOSSY_MAX: usize = 128 * 1024;
/// RFC 8831 §6.6: an empty message is sent as one byte with a type of its own.
const EMPTY: &[u8] = &[0];

/// Where the three channels are that both sides know without asking.
const NEGOTIATED: [(u16, Channel); 3] =
    [(100, Channel::Reliable), (101, Channel::Lossy), (102, Channel::DataTrack)];
/// Where we open ours. RFC 8832 §6: the DTLS server uses odd ids.
const BY_SERVER: [(u16, Channel); 3] = [(1, Channel::Reliable), (3, Channel::Lossy), (5, Channel::DataTrack)];

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Longer than [`MESSAGE_MAX`].
    #[error("a message of {0} bytes is too long")]
    TooLong(usize),
    /// The client does not drain its channel, or too much waits for it to open.
    #[error("the channel is full")]
    Full,
    /// There is no such channel, or it was closed.
    #[error("there is no such channel")]
    Closed,
}

/// What channels want done, or tell.
#[derive(Debug)]
pub enum ChannelOutput {
    /// An SCTP packet for the client.
    Packet(Bytes),
    /// Messages can be sent and will be received.
    Opened(Channel),
    /// A message came.
    Message(Channel, Bytes),
}

/// One stream of the association.
#[derive(Debug)]
enum Slot {
    /// We asked for the channel and wait for the answer.
    Opening(Open),
    /// It carries messages.
    Open { channel: Channel, buffered_max: usize },
}

/// All data channels of one client.
#[derive(Debug)]
pub struct Channels {
    setup: ChannelSetup,
    association: Association,
    slots: BTreeMap<u16, Slot>,
    /// The newest open stream of each channel.
    open: BTreeMap<Channel, u16>,
    pending: VecDeque<(Channel, Bytes)>,
    pending_bytes: usize,
    outputs: VecDeque<ChannelOutput>,
}

impl Channels {
    /// Waits for the client to begin.
    #[must_use]
    pub fn new(setup: ChannelSetup) -> Self {
        Self {
            setup,
            association: Association::new(),
            slots: BTreeMap::new(),
            open: BTreeMap::new(),
            pending: VecDeque::new(),
            pending_bytes: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Reads one SCTP packet.
    pub fn handle(&mut self, packet: &[u8], now: Instant) {
        self.association.handle(packet, now);
        self.drive(now);
    }

    /// Sends a message, or keeps it for a channel that is going to be opened.
    pub fn send(&mut self, channel: Channel, message: Bytes, now: Instant) -> Result<(), SendError> {
        if message.len() > MESSAGE_MAX {
            return Err(SendError::TooLong(message.len()));
        }
        let Some(id) = self.open.get(&channel).copied() else { return self.keep(channel, message) };
        let sent = self.write(id, &message);
        self.drive(now);
        sent
    }

    /// Runs what is due.
    pub fn tick(&mut self, now: Instant) {
        self.association.tick(now);
        self.drive(now);
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.association.deadline()
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<ChannelOutput> {
        self.outputs.pop_front()
    }

    /// Turns what happened on the association into outputs.
    fn drive(&mut self, now: Instant) {
        loop {
            while let Some(occurrence) = self.association.poll() {
                match occurrence {
                    Occurrence::Up => self.set_up(),
                    Occurrence::Readable(id) => self.read(id),
                    Occurrence::Finished(id) => self.forget(id),
                    Occurrence::Down => return self.fall(now),
                }
            }
            let Some(packets) = self.association.transmit(now) else { return };
            self.outputs.extend(packets.into_iter().map(ChannelOutput::Packet));
        }
    }

    /// The association is up: channels of ours begin.
    fn set_up(&mut self) {
        match self.setup {
            ChannelSetup::ByClient => {}
            ChannelSetup::ByServer => {
                for (id, channel) in BY_SERVER {
                    self.ask(id, Open::for_channel(&channel));
                }
            }
            ChannelSetup::Negotiated => {
                for (id, channel) in NEGOTIATED {
                    let open = Open::for_channel(&channel);
                    if let Some(mut stream) = self.stream(id) {
                        apply(&mut stream, &open);
                        self.opened(id, &open);
                    }
                }
            }
        }
    }

    /// Asks the client for a channel (RFC 8832 §6).
    fn ask(&mut self, id: u16, open: Open) {
        let request = Message::Open(open.clone()).to_bytes();
        let Some(mut stream) = self.stream(id) else { return };
        // While the association is up a fresh stream takes a message of this size.
        if stream.write_with_ppi(&request, Ppid::Dcep).is_ok() {
            apply(&mut stream, &open);
            self.slots.insert(id, Slot::Opening(open));
        }
    }

    /// The stream, which the client may have begun before us.
    fn stream(&mut self, id: u16) -> Option<Stream<'_>> {
        let library = self.association.library()?;
        if library.stream(id).is_ok() { library.stream(id) } else { library.open_stream(id, Ppid::Binary) }
            .ok()
    }

    fn read(&mut self, id: u16) {
        loop {
            let Some(library) = self.association.library() else { return };
            let Ok(mut stream) = library.stream(id) else { return };
            let Ok(Some(message)) = stream.read_sctp() else { return };
            self.association.read(message.chunks.len());
            let mut bytes = vec![0; message.len()];
            if message.read(&mut bytes).is_err() {
                continue;
            }
            match message.ppi {
                Ppid::Dcep => self.read_dcep(id, &bytes),
                Ppid::String | Ppid::Binary => self.deliver(id, Bytes::from(bytes)),
                Ppid::StringEmpty | Ppid::BinaryEmpty => self.deliver(id, Bytes::new()),
                Ppid::Unknown => {}
            }
        }
    }

    /// Messages on a stream that has no label are dropped: nobody could say what they are.
    fn deliver(&mut self, id: u16, message: Bytes) {
        if let Some(Slot::Open { channel, .. }) = self.slots.get(&id) {
            self.outputs.push_back(ChannelOutput::Message(channel.clone(), message));
        }
    }

    fn read_dcep(&mut self, id: u16, bytes: &[u8]) {
        match Message::parse(bytes) {
            Ok(Message::Ack) => {
                if let Some(Slot::Opening(open)) = self.slots.get(&id) {
                    let open = open.clone();
                    self.opened(id, &open);
                }
            }
            Ok(Message::Open(open)) => self.accept(id, &open),
            // RFC 8832 §6: a channel that cannot be is closed.
            Err(_) => self.close(id),
        }
    }

    /// The client opens a channel; an id that is in use already means it lost count.
    fn accept(&mut self, id: u16, open: &Open) {
        if let Some(Slot::Open { channel, .. }) = self.slots.get(&id)
            && *channel != open.channel()
        {
            return self.close(id);
        }
        let Some(mut stream) = self.stream(id) else { return };
        if stream.write_with_ppi(&Message::Ack.to_bytes(), Ppid::Dcep).is_err() {
            return;
        }
        apply(&mut stream, open);
        self.opened(id, open);
    }

    /// A channel carries messages from here on: first those that waited for it.
    fn opened(&mut self, id: u16, open: &Open) {
        let channel = open.channel();
        let buffered_max = match open.reliability {
            Reliability::Reliable => BUFFERED_RELIABLE_MAX,
            Reliability::Retransmits(_) | Reliability::Lifetime(_) => BUFFERED_LOSSY_MAX,
        };
        let before = self.slots.insert(id, Slot::Open { channel: channel.clone(), buffered_max });
        self.open.insert(channel.clone(), id);
        if !matches!(before, Some(Slot::Open { .. })) {
            self.outputs.push_back(ChannelOutput::Opened(channel.clone()));
        }

        let (ready, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|(waiting, _)| *waiting == channel);
        self.pending = pending;
        let ready: VecDeque<(Channel, Bytes)> = ready;
        for (_, message) in ready {
            self.pending_bytes = self.pending_bytes.saturating_sub(message.len());
            // What waited is less than any channel takes at once.
            let _ = self.write(id, &message);
        }
    }

    /// Keeps a message for one of the channels that every client has.
    fn keep(&mut self, channel: Channel, message: Bytes) -> Result<(), SendError> {
        if matches!(channel, Channel::Named(_)) {
            return Err(SendError::Closed);
        }
        let pending_bytes = self.pending_bytes.saturating_add(message.len());
        if pending_bytes > PENDING_MAX || self.pending.len() >= PENDING_MESSAGES_MAX {
            return Err(SendError::Full);
        }
        self.pending_bytes = pending_bytes;
        self.pending.push_back((channel, message));
        Ok(())
    }

    fn write(&mut self, id: u16, message: &Bytes) -> Result<(), SendError> {
        let Some(Slot::Open { buffered_max, .. }) = self.slots.get(&id) else {
            return Err(SendError::Closed);
        };
        let buffered_max = *buffered_max;
        let library = self.association.library().ok_or(SendError::Closed)?;
        let mut stream = library.stream(id).map_err(|_| SendError::Closed)?;
        let buffered = stream.buffered_amount().map_err(|_| SendError::Closed)?;
        if buffered.saturating_add(message.len()) > buffered_max {
            return Err(SendError::Full);
        }
        let written = if message.is_empty() {
            stream.write_with_ppi(EMPTY, Ppid::BinaryEmpty)
        } else {
            stream.write_sctp(message, Ppid::Binary)
        };
        written.map(|_| ()).map_err(|_| SendError::Closed)
    }

    /// Closes a stream from our side.
    fn close(&mut self, id: u16) {
        if let Some(mut stream) = self.association.library().and_then(|library| library.stream(id).ok()) {
            // It fails only where there is nothing left to close.
            let _ = stream.close();
        }
        self.forget(id);
    }

    fn forget(&mut self, id: u16) {
        self.slots.remove(&id);
        self.open.retain(|_, open| *open != id);
    }

    /// The association is gone. Its last words are sent; should the client begin anew, so do we.
    fn fall(&mut self, now: Instant) {
        while let Some(packets) = self.association.transmit(now) {
            self.outputs.extend(packets.into_iter().map(ChannelOutput::Packet));
        }
        self.association.reset();
        self.slots.clear();
        self.open.clear();
    }
}

/// Both directions of a channel are alike (RFC 8832 §5.1). To be called after what was written for DCEP, which is
/// always ordered and reliable.
fn apply(stream: &mut Stream<'_>, open: &Open) {
    let unordered = open.ordering == Ordering::Unordered;
    let (kind, value) = match open.reliability {
        Reliability::Reliable => (ReliabilityType::Reliable, 0),
        Reliability::Retransmits(count) => (ReliabilityType::Rexmit, count),
        Reliability::Lifetime(millis) => (ReliabilityType::Timed, millis),
    };
    // It fails only when the stream is gone, and then it does not matter.
    let _ = stream.set_reliability_params(unordered, kind, value);
}

#[cfg(test)]
mod tests;
