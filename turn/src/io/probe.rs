//! Looks whether a relay works, from where we stand: allocates, binds a channel to the own relayed address, sends through
//! both and waits for the echo, and ends it.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::tls;
use crate::{
    channel::{ChannelData, ChannelNumber, ChannelRange},
    client::{Client, ClientError},
    credentials::Minted,
    frame::Frame,
    tuple::{Family, Transport},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a datagram is sent: one may get lost.
const TRIES: u32 = 3;
/// What goes through.
const ECHO: &[u8] = b"does it come back?";

/// Why a relay does not work.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It cannot be reached, or does not answer.
    #[error("no answer")]
    Io(#[from] io::Error),
    /// It answers, but not as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// TLS fails.
    #[error("tls fails")]
    Tls(#[from] rustls::Error),
    /// It grants a relay that nothing comes back from.
    #[error("what was sent through it did not come back")]
    Lost,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Where the server saw us.
    pub mapped: SocketAddr,
    /// Where it relayed from.
    pub relayed: SocketAddr,
}

/// Tries a relay over one transport. Waits, so it is not for a thread that has other things to do.
///
/// Over TLS the certificate is taken as it is: whether clients trust it, they tell best.
pub fn probe(
    server: SocketAddr,
    transport: Transport,
    family: Family,
    minted: &Minted,
) -> Result<Probed, ProbeError> {
    let mut probe =
        Probe { client: Client::new(minted, u64::from(server.port())), line: connect(server, transport)? };
    let mapped = probe.ask(Client::binding)?.mapped.ok_or(ProbeError::Lost)?;
    let relayed = probe.ask(|client| client.allocate(family))?.relayed.ok_or(ProbeError::Lost)?;
    let channel = ChannelNumber::new(0x4000, ChannelRange::Rfc8656).ok_or(ProbeError::Lost)?;
    probe.ask(|client| client.bind(channel, relayed))?;
    let header = ChannelData::header(channel, ECHO).ok_or(ProbeError::Lost)?;
    let answer = probe.exchange(&[&header[..], ECHO].concat())?;
    let echo = ChannelData::parse(&answer).is_some_and(|data| data.payload == ECHO);
    probe.ask(Client::end)?;
    if echo { Ok(Probed { mapped, relayed }) } else { Err(ProbeError::Lost) }
}

struct Probe {
    client: Client,
    line: Line,
}

enum Line {
    Datagrams(UdpSocket),
    Stream(Box<dyn Stream>, Vec<u8>),
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connect(server: SocketAddr, transport: Transport) -> Result<Line, ProbeError> {
    if transport == Transport::Udp {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        return Ok(Line::Datagrams(socket));
    }
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if transport == Transport::Tcp {
        return Ok(Line::Stream(Box::new(stream), Vec::new()));
    }
    let provider = tls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let config = builder
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Whatever(provider)))
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::from(server.ip()))?;
    Ok(Line::Stream(Box::new(StreamOwned::new(connection, stream)), Vec::new()))
}

impl Probe {
    fn ask(
        &mut self,
        request: impl Fn(&mut Client) -> Vec<u8>,
    ) -> Result<crate::client::Granted, ProbeError> {
        loop {
            let message = request(&mut self.client);
            let answer = self.exchange(&message)?;
            match self.client.hear(&answer) {
                Err(ClientError::Challenged) => {}
                outcome => return Ok(outcome?),
            }
        }
    }

    fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>, ProbeError> {
        match &mut self.line {
            Line::Datagrams(socket) => {
                let mut buffer = vec![0; 2_048];
                let mut last = io::Error::from(io::ErrorKind::TimedOut);
                for _ in 0..TRIES {
                    socket.send(message)?;
                    match socket.recv(&mut buffer) {
                        Ok(len) => {
                            buffer.truncate(len);
                            return Ok(buffer);
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last.into())
            }
            Line::Stream(stream, input) => {
                let padding = [0; 3];
                let padding = padding.get(..message.len().next_multiple_of(4) - message.len());
                stream.write_all(&[message, padding.unwrap_or_default()].concat())?;
                stream.flush()?;
                loop {
                    match Frame::next(input) {
                        Frame::Message(message, taken) => {
                            let message = message.to_vec();
                            input.drain(..taken);
                            return Ok(message);
                        }
                        Frame::Garbage => return Err(ProbeError::Lost),
                        Frame::Incomplete(_) => {}
                    }
                    let mut buffer = [0; 2_048];
                    let len = stream.read(&mut buffer)?;
                    if len == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    input.extend_from_slice(buffer.get(..len).unwrap_or_default());
                }
            }
        }
    }
}

/// Takes any certificate whose key its owner has.
#[derive(Debug)]
struct Whatever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whatever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
