//! A client: controlling ICE agent, DTLS client, SCTP initiator.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use sctp_proto::PayloadProtocolIdentifier as Ppid;
use turn::stun::{Builder, Class, IntegrityKey, Message, Method, TransactionId};

use super::{
    Rng,
    sctp::{Sctp, SctpEvent},
};
use crate::{
    params::{Channel, Fingerprint, IceCredentials, Protocol, Remote, RemoteParameters, Secret, SrtpProfile},
    srtp::{KeyingMaterial, Srtp},
};

/// Which DTLS the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsVersion {
    /// 1.2 only.
    V1_2,
    /// 1.3 only.
    V1_3,
    /// Offers both.
    Both,
}

/// What kind of client it is.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where it sends from.
    pub address: SocketAddr,
    /// Our credentials, as our description tells them.
    pub server: IceCredentials,
    /// Its DTLS.
    pub dtls: DtlsVersion,
    /// The longest datagram of its handshake: a small one makes it send its ClientHello in pieces.
    pub dtls_mtu: usize,
    /// The channels it opens; those of [`crate::params::ChannelSetup::Negotiated`] are not asked for.
    pub channels: Vec<Channel>,
    /// Whether its channels have fixed ids.
    pub negotiated: bool,
}

impl ClientConfig {
    /// A client like most.
    #[must_use]
    pub fn new(server: &IceCredentials) -> Self {
        Self {
            address: SocketAddr::from(([198, 51, 100, 7], 50_000)),
            server: server.clone(),
            dtls: DtlsVersion::V1_2,
            dtls_mtu: 1200,
            channels: Vec::new(),
            negotiated: false,
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
    fingerprint: Fingerprint,
    dtls: dimpl::Dtls,
    dtls_deadline: Option<Instant>,
    peer: Option<Fingerprint>,
    srtp: Option<Srtp>,
    sctp: Option<Sctp>,
    started: bool,
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
        let certificate = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
        let fingerprint = fingerprint(&certificate.certificate);
        let dtls_config = dimpl::Config::builder()
            .mtu(config.dtls_mtu)
            .flight_start_rto(Duration::from_millis(100))
            .flight_retries(8)
            .dangerously_set_rng_seed(seed)
            .build()
            .expect("a configuration");
        let dtls_config = Arc::new(dtls_config);
        let mut dtls = match config.dtls {
            DtlsVersion::V1_2 => dimpl::Dtls::new_12(dtls_config, certificate, now),
            DtlsVersion::V1_3 => dimpl::Dtls::new_13(dtls_config, certificate, now),
            DtlsVersion::Both => dimpl::Dtls::new_auto(dtls_config, certificate, now),
        };
        dtls.set_active(true);
        let mut rng = Rng::new(seed);
        let local = credentials(&mut rng);
        Self {
            config,
            local,
            fingerprint,
            dtls,
            dtls_deadline: None,
            peer: None,
            srtp: None,
            sctp: None,
            started: false,
            next_check: Some(now),
            rng,
            outputs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// What its description says.
    #[must_use]
    pub fn parameters(&self) -> RemoteParameters {
        RemoteParameters { ice: self.local.clone(), fingerprint: self.fingerprint }
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
        let tiebreaker = self.rng.next();
        self.check_with(|builder| builder.ice_controlling(tiebreaker).use_candidate())
    }

    /// A check with other attributes than usual, signed as usual.
    pub fn check_with(&mut self, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Vec<u8> {
        let key = IntegrityKey::short_term(&self.config.server.pwd.0);
        let username = format!("{}:{}", self.config.server.ufrag, self.local.ufrag);
        let mut id = [0; 12];
        for byte in &mut id {
            *byte = self.rng.next().to_le_bytes()[0];
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
        let ppid = if message.is_empty() { Ppid::BinaryEmpty } else { Ppid::Binary };
        let message = if message.is_empty() { Bytes::from_static(&[0]) } else { message.clone() };
        let sent = self.sctp.as_mut().is_some_and(|sctp| sctp.send(channel, &message, ppid));
        self.carry(now);
        sent
    }

    /// Sends text.
    pub fn send_text(&mut self, channel: &Channel, text: &'static str, now: Instant) -> bool {
        let message = Bytes::from_static(text.as_bytes());
        let sent = self.sctp.as_mut().is_some_and(|sctp| sctp.send(channel, &message, Ppid::String));
        self.carry(now);
        sent
    }

    /// Writes on any stream, as nobody should.
    pub fn send_raw(&mut self, stream: u16, message: &Bytes, ppid: Ppid, now: Instant) -> bool {
        let sent = self.sctp.as_mut().is_some_and(|sctp| sctp.send_raw(stream, message, ppid));
        self.carry(now);
        sent
    }

    /// Closes a channel.
    pub fn close_channel(&mut self, channel: &Channel, now: Instant) {
        if let Some(sctp) = &mut self.sctp {
            sctp.close(channel);
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
        self.dtls.handle_timeout(now).expect("dtls goes on");
        self.dtls.handle_packet(datagram).expect("dtls goes on");
        self.carry(now);
    }

    /// Runs what is due.
    pub fn tick(&mut self, now: Instant) {
        if self.next_check.is_some_and(|at| at <= now) {
            self.next_check = Some(now + CHECK_INTERVAL);
            let check = self.check();
            self.outputs.push_back(check);
        }
        if !self.started {
            return;
        }
        // A client whose server is gone fails here; the test sees that nothing comes.
        let _ = self.dtls.handle_timeout(now);
        if let Some(sctp) = &mut self.sctp {
            sctp.tick(now);
        }
        self.carry(now);
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let sctp = self.sctp.as_ref().and_then(Sctp::deadline);
        [self.next_check, self.dtls_deadline.filter(|_| self.started), sctp].into_iter().flatten().min()
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
                if !self.started {
                    self.started = true;
                    self.dtls.handle_timeout(now).expect("dtls begins");
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
            let Some(sctp) = &mut self.sctp else { return };
            while let Some(event) = sctp.events.pop_front() {
                self.events.push_back(match event {
                    SctpEvent::Opened(channel) => ClientEvent::ChannelOpen(channel),
                    SctpEvent::Message(channel, message) => ClientEvent::Message(channel, message),
                    SctpEvent::Lost => ClientEvent::ChannelsLost,
                });
            }
            let packets = sctp.transmit(now);
            if packets.is_empty() {
                return;
            }
            for packet in packets {
                if self.dtls.send_application_data(&packet).is_err() {
                    return;
                }
                self.drain_dtls(now);
            }
        }
    }

    fn drain_dtls(&mut self, now: Instant) {
        let mut buffer = vec![0; 20_000];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(bytes) => self.outputs.push_back(bytes.to_vec()),
                dimpl::Output::PeerCert(der) => self.peer = Some(fingerprint(der)),
                dimpl::Output::KeyingMaterial(bytes, profile) => self.secure(&bytes, profile),
                dimpl::Output::ApplicationData(bytes) => {
                    if let Some(sctp) = &mut self.sctp {
                        sctp.handle(bytes, now);
                    }
                }
                dimpl::Output::Timeout(at) => {
                    self.dtls_deadline = Some(at);
                    return;
                }
                _ => {}
            }
        }
    }

    fn secure(&mut self, bytes: &[u8], profile: dimpl::SrtpProfile) {
        let profile = match profile {
            dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
            dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
            _ => SrtpProfile::Aes128CmSha1_80,
        };
        let keying = KeyingMaterial { profile, bytes: Secret(bytes.to_vec()) };
        self.srtp = Some(Srtp::client(&keying).expect("keys"));
        self.sctp = Sctp::new(&self.config.channels, self.config.negotiated);
        let peer = self.peer.expect("the server shows a certificate");
        self.events.push_back(ClientEvent::Secured(profile, peer));
    }
}

fn credentials(rng: &mut Rng) -> IceCredentials {
    IceCredentials {
        ufrag: format!("{:04x}", rng.next() & 0xffff),
        pwd: Secret(format!("{:016x}{:016x}", rng.next(), rng.next())),
    }
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().try_into().map_or(Fingerprint([0; 32]), Fingerprint)
}
