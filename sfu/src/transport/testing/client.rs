//! A client: controlling ICE agent, DTLS client, SCTP initiator.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use turn::stun::{Builder, Class, IntegrityKey, Message, Method, TransactionId};

use super::Rng;
use crate::{
    channels::testing::{self as channels, Ids, Kind},
    dtls::{
        Dtls, DtlsOutput, Established,
        testing::{self as dtls, ClientVersion},
    },
    params::{Channel, Fingerprint, IceCredentials, Protocol, Remote, RemoteParameters, Secret, SrtpProfile},
    srtp::Srtp,
};

/// What kind of client it is.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where it sends from.
    pub address: SocketAddr,
    /// Our credentials, as our description tells them.
    pub server: IceCredentials,
    /// Its DTLS.
    pub dtls: ClientVersion,
    /// The longest datagram of its handshake: a small one makes it send its ClientHello in pieces.
    pub dtls_mtu: usize,
    /// The channels it opens.
    pub channels: Vec<Channel>,
    /// Where they are.
    pub ids: Ids,
}

impl ClientConfig {
    /// A client like most.
    #[must_use]
    pub fn new(server: &IceCredentials) -> Self {
        Self {
            address: SocketAddr::from(([198, 51, 100, 7], 50_000)),
            server: server.clone(),
            dtls: ClientVersion::V1_2,
            dtls_mtu: 1200,
            channels: Vec::new(),
            ids: Ids::InBand,
        }
    }
}

/// What happens to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// DTLS is done; this is whom it met.
    Secured(SrtpProfile, Fingerprint),
    /// A channel is open.
    ChannelOpen(Channel),
    /// A message came.
    Message(Channel, Bytes),
    /// SCTP ended.
    ChannelsLost,
    /// An authentic answer to a check.
    CheckAnswered,
    /// An authentic error in answer to a check.
    CheckRefused(u16),
}

/// How often a client checks: as libwebrtc on a path that is not stable yet.
const CHECK_INTERVAL: Duration = Duration::from_millis(480);

/// The other side of a transport.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    local: IceCredentials,
    dtls: dtls::Client,
    dtls_begun: bool,
    srtp: Option<Srtp>,
    channels: Option<channels::Client>,
    next_check: Option<Instant>,
    rng: Rng,
    outputs: VecDeque<Vec<u8>>,
    events: VecDeque<ClientEvent>,
}

#[expect(clippy::expect_used, reason = "test support: what fails here is the test's fault")]
impl Client {
    /// A client that begins to check at once.
    #[must_use]
    pub fn new(config: ClientConfig, seed: u64, now: Instant) -> Self {
        let dtls = dtls::Client::new(config.dtls, config.dtls_mtu, seed, now);
        let mut rng = Rng::new(seed);
        let local = credentials(&mut rng);
        Self {
            config,
            local,
            dtls,
            dtls_begun: false,
            srtp: None,
            channels: None,
            next_check: Some(now),
            rng,
            outputs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What its description says.
    #[must_use]
    pub fn parameters(&self) -> RemoteParameters {
        RemoteParameters { ice: self.local.clone(), fingerprint: self.dtls.fingerprint() }
    }

    /// Whether DTLS is done.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.srtp.is_some()
    }

    /// Where it sends from.
    #[must_use]
    pub fn address(&self) -> Remote {
        Remote { protocol: Protocol::Udp, addr: self.config.address }
    }

    /// Its NAT gives it another address.
    pub fn rebind(&mut self, address: SocketAddr) {
        self.config.address = address;
    }

    /// It restarts ICE: new credentials of its own, and ours from our new description.
    pub fn restart_ice(&mut self, server: &IceCredentials, now: Instant) {
        self.local = credentials(&mut self.rng);
        self.config.server = server.clone();
        self.next_check = Some(now);
    }

    /// It falls silent, or speaks again.
    pub fn pause_checks(&mut self, until: Option<Instant>) {
        self.next_check = until;
    }

    /// Protects media, once DTLS is done.
    pub fn srtp(&mut self) -> Option<&mut Srtp> {
        self.srtp.as_mut()
    }

    /// A check as it would send it now.
    pub fn check(&mut self) -> Vec<u8> {
        let tiebreaker = self.rng.draw();
        self.check_with(|builder| builder.ice_controlling(tiebreaker).use_candidate())
    }

    /// A check with other attributes than usual, signed as usual.
    pub fn check_with(&mut self, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
        let key = IntegrityKey::short_term(&self.config.server.pwd.0);
        let username = format!("{}:{}", self.config.server.ufrag, self.local.ufrag);
        let mut id = [0; 12];
        for byte in &mut id {
            *byte = self.rng.draw().to_le_bytes()[0];
        }
        let mut buffer = [0; 1500];
        let builder = Builder::new(Class::Request, Method::BINDING, TransactionId(id), &mut buffer)
            .username(username.as_bytes())
            .priority(1_853_824_767);
        let len = fill(builder).integrity(&key).fingerprint().finish().expect("it fits");
        buffer.get(..len).expect("it was written").to_vec()
    }

    /// Sends a message; tells whether the channel is open.
    pub fn send(&mut self, channel: &Channel, message: &Bytes, now: Instant) -> bool {
        self.send_as(channel, message, Kind::Binary, now)
    }

    /// Sends a message as text or bytes; tells whether the channel is open.
    pub fn send_as(&mut self, channel: &Channel, message: &Bytes, kind: Kind, now: Instant) -> bool {
        let sent = self.channels.as_mut().is_some_and(|channels| channels.send(channel, message, kind));
        self.carry(now);
        sent
    }

    /// Writes on any stream, whether it is a channel or not.
    pub fn send_raw(&mut self, stream: u16, message: &Bytes, kind: Kind, now: Instant) -> bool {
        let sent = self.channels.as_mut().is_some_and(|channels| channels.send_raw(stream, message, kind));
        self.carry(now);
        sent
    }

    /// Closes a channel.
    pub fn close_channel(&mut self, channel: &Channel, now: Instant) {
        if let Some(channels) = &mut self.channels {
            channels.close(channel);
        }
        self.carry(now);
    }

    /// Says good-bye (DTLS `close_notify`).
    pub fn close(&mut self, now: Instant) {
        self.dtls.close().expect("it can be closed");
        self.carry(now);
    }

    /// Reads a datagram.
    pub fn handle(&mut self, datagram: &[u8], now: Instant) {
        if let Ok(message) = Message::parse(datagram) {
            return self.handle_stun(&message, now);
        }
        self.dtls.handle(datagram, now).expect("dtls goes on");
        self.carry(now);
    }

    /// Runs what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.next_check.is_some_and(|at| at <= now) {
            self.next_check = Some(now + CHECK_INTERVAL);
            let check = self.check();
            self.outputs.push_back(check);
        }
        if !self.dtls_begun {
            return;
        }
        // A client whose server is gone fails here; the test sees that nothing comes.
        let _ = self.dtls.tick(now);
        if let Some(channels) = &mut self.channels {
            channels.tick(now);
        }
        self.carry(now);
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let dtls = self.dtls.deadline().filter(|_| self.dtls_begun);
        let channels = self.channels.as_ref().and_then(channels::Client::deadline);
        [self.next_check, dtls, channels].into_iter().flatten().min()
    }

    /// The next datagram to send.
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        self.outputs.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    fn handle_stun(&mut self, message: &Message<'_>, now: Instant) {
        let key = IntegrityKey::short_term(&self.config.server.pwd.0);
        if message.check_integrity(&key).is_err() || message.check_fingerprint().is_err() {
            return;
        }
        match message.class() {
            Class::Success if message.xor_mapped_address() == Some(self.config.address) => {
                self.events.push_back(ClientEvent::CheckAnswered);
                if !self.dtls_begun {
                    self.dtls_begun = true;
                    self.dtls.tick(now).expect("dtls begins");
                    self.carry(now);
                }
            }
            Class::Error => {
                let code = message.error_code().map_or(0, turn::stun::ErrorCode::value);
                self.events.push_back(ClientEvent::CheckRefused(code));
            }
            Class::Success | Class::Request | Class::Indication => {}
        }
    }

    fn carry(&mut self, now: Instant) {
        loop {
            self.drain_dtls(now);
            let Some(channels) = &mut self.channels else { return };
            while let Some(event) = channels.events.pop_front() {
                self.events.push_back(match event {
                    channels::ClientEvent::Opened(channel) => ClientEvent::ChannelOpen(channel),
                    channels::ClientEvent::Message(channel, message) => {
                        ClientEvent::Message(channel, message)
                    }
                    channels::ClientEvent::Lost => ClientEvent::ChannelsLost,
                });
            }
            let packets = channels.transmit(now);
            if packets.is_empty() {
                return;
            }
            for packet in packets {
                if self.dtls.send(&packet, now).is_err() {
                    return;
                }
                self.drain_dtls(now);
            }
        }
    }

    fn drain_dtls(&mut self, now: Instant) {
        while let Some(output) = self.dtls.poll().expect("dtls goes on") {
            match output {
                DtlsOutput::Datagram(bytes) => self.outputs.push_back(bytes),
                DtlsOutput::Connected(established) => self.secure(&established),
                DtlsOutput::Data(bytes) => {
                    if let Some(channels) = &mut self.channels {
                        channels.handle(&bytes, now);
                    }
                }
                DtlsOutput::Closed => {}
            }
        }
    }

    fn secure(&mut self, established: &Established) {
        self.srtp = Some(Srtp::client(&established.keying).expect("keys"));
        self.channels = channels::Client::new(&self.config.channels, self.config.ids);
        self.events.push_back(ClientEvent::Secured(established.keying.profile, established.peer));
    }
}

fn credentials(rng: &mut Rng) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{:04x}", rng.draw() & 0xffff),
        pwd: Secret(format!("{:016x}{:016x}", rng.draw(), rng.draw())),
    }
}
