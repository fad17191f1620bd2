//! Answers: written on the stack, as short as they can be, signed for whoever is known (RFC 8489 §6.3.1, §9.2.4).

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use super::{
    host::Host,
    request::{Granted, Request, unknown},
};
use crate::{
    auth::{Authenticator, NONCE_MAX, PASSWORD_ALGORITHMS, SigningKey},
    registry::ReservationToken,
    stun::{AttributeType, Builder, Class, ErrorCode},
    tuple::Family,
};

/// Longer than any answer with a realm of [`crate::server::REALM_MAX`] bytes.
const REPLY_MAX: usize = 512;

/// What a client is told of its allocation (RFC 8656 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allocated {
    pub(super) relays: [Option<SocketAddr>; 2],
    pub(super) seconds: u32,
    pub(super) token: Option<ReservationToken>,
    /// The family of a dual allocation that could not be had, and why.
    pub(super) missing: Option<(Family, ErrorCode)>,
}

impl Granted {
    pub(super) fn write<'a>(self, builder: Builder<'a>, request: Request<'_>) -> Builder<'a> {
        match self {
            Self::Plain => builder,
            Self::Refreshed { seconds } => lifetime(builder, seconds),
            Self::Ended => lifetime(builder, 0),
            Self::Allocated(allocated) => allocated.write(builder, request),
        }
    }
}

impl Allocated {
    fn write<'a>(self, mut builder: Builder<'a>, request: Request<'_>) -> Builder<'a> {
        for relay in self.relays.into_iter().flatten() {
            builder = builder.xor_address(AttributeType::XOR_RELAYED_ADDRESS, relay);
        }
        builder = lifetime(builder, self.seconds);
        if let Some(ReservationToken(token)) = self.token {
            builder = builder.attribute(AttributeType::RESERVATION_TOKEN, &token);
        }
        builder = builder.xor_mapped_address(request.from.client);
        if let Some((family, code)) = self.missing {
            let [_, _, class, number] = code.to_bytes();
            let value = [family.value(), 0, class, number];
            builder = builder.attribute(AttributeType::ADDRESS_ERROR_CODE, &value);
        }
        builder
    }
}

fn lifetime(builder: Builder<'_>, seconds: u32) -> Builder<'_> {
    builder.attribute(AttributeType::LIFETIME, &seconds.to_be_bytes())
}

/// Whole seconds of what is left of a lifetime.
pub(super) fn seconds(left: Duration) -> u32 {
    u32::try_from(left.as_secs()).unwrap_or(u32::MAX)
}

/// An answer to one request.
#[derive(Clone, Copy)]
pub(super) struct Reply<'a> {
    request: Request<'a>,
    error: Option<ErrorCode>,
}

impl<'a> Reply<'a> {
    pub(super) fn success(request: Request<'a>) -> Self {
        Self { request, error: None }
    }

    pub(super) fn error(request: Request<'a>, code: ErrorCode) -> Self {
        Self { request, error: Some(code) }
    }

    /// Asks for credentials (RFC 8489 §9.2.4).
    pub(super) fn challenge(self, auth: &Authenticator, wall: SystemTime, host: &mut impl Host) {
        let from = self.request.from;
        let mut nonce = [0; NONCE_MAX];
        let len = auth.write_nonce(from, wall, &mut nonce);
        self.send(None, host, |builder| {
            let builder = builder
                .attribute(AttributeType::REALM, auth.realm().as_bytes())
                .attribute(AttributeType::NONCE, nonce.get(..len).unwrap_or_default());
            if auth.offers(from.transport) {
                builder.attribute(AttributeType::PASSWORD_ALGORITHMS, &PASSWORD_ALGORITHMS)
            } else {
                builder
            }
        });
    }

    /// Sends the client elsewhere (RFC 8489 §10).
    pub(super) fn redirect(
        self,
        alternate: Option<SocketAddr>,
        key: Option<&SigningKey>,
        host: &mut impl Host,
    ) {
        self.send(key, host, |builder| match alternate {
            Some(addr) => builder.plain_address(AttributeType::ALTERNATE_SERVER, addr),
            None => builder,
        });
    }

    pub(super) fn send(
        self,
        key: Option<&SigningKey>,
        host: &mut impl Host,
        write: impl for<'b> FnOnce(Builder<'b>) -> Builder<'b>,
    ) {
        let Request { message, from } = self.request;
        let mut buffer = [0; REPLY_MAX];
        let class = if self.error.is_some() { Class::Error } else { Class::Success };
        let mut builder = Builder::new(class, message.method(), message.transaction_id(), &mut buffer);
        if let Some(code) = self.error {
            builder = builder.error_code(code);
            if code == ErrorCode::UNKNOWN_ATTRIBUTE {
                builder = builder.unknown_attributes(unknown(message));
            }
        }
        builder = write(builder);
        if let Some(key) = key {
            builder = key.sign(builder);
        }
        if message.has_fingerprint() {
            builder = builder.fingerprint();
        }
        if let Ok(len) = builder.finish() {
            host.to_client(from, [buffer.get(..len).unwrap_or_default(), &[], &[]]);
        }
    }
}
