//! Requests and indications (RFC 8489 §6.3): whether they can be read, who asks, what they ask.

use std::{sync::Arc, time::Instant};

use super::{
    Server,
    allocation::Allocation,
    counters::DropReason,
    host::Host,
    reply::{self, Reply},
};
use crate::{
    auth::{Authenticator, Caller, Failure, Found, Known, Refused},
    meter::Verdict,
    stun::{AttributeType, Class, ErrorCode, Message, Method},
    tuple::FiveTuple,
};

/// A request that can be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) from: &'a FiveTuple,
}

/// What a request was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Granted {
    /// Nothing is to be said about it.
    Plain,
    /// An allocation, as it stands.
    Allocated(reply::Allocated),
    /// It lives so long.
    Refreshed { seconds: u32 },
    /// It ends.
    Ended,
}

/// What we understand; everything else that must be understood is refused (RFC 8489 §6.3.1).
const KNOWN: [AttributeType; 16] = [
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::EVEN_PORT,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::DONT_FRAGMENT,
    AttributeType::RESERVATION_TOKEN,
    // Of ICE: a Binding that was meant for somebody else may carry them, and is answered all the same.
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
];

impl Server {
    pub(super) fn receive_stun(
        &mut self,
        from: &FiveTuple,
        bytes: &[u8],
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let message = Message::parse(bytes).map_err(|_| DropReason::Malformed)?;
        if message.has_fingerprint() && message.check_fingerprint().is_err() {
            return Err(DropReason::Fingerprint);
        }
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => self.binding(&message, from, host, now),
            (
                Class::Request,
                Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND,
            ) => {
                let auth = Arc::clone(&self.auth);
                self.request(Request { message: &message, from }, &auth, host, now)
            }
            (Class::Request, _) => {
                self.spend_budget(from, now)?;
                self.refuse(Request { message: &message, from }, ErrorCode::BAD_REQUEST, host);
                Ok(())
            }
            (Class::Indication, Method::SEND) => self.send_indication(&message, from, host, now),
            // A keepalive (RFC 8489 §9.1.5), or an answer that nobody asked for: answering those is how servers are made to
            // talk to each other for ever.
            (Class::Indication, Method::BINDING) => Ok(()),
            (Class::Indication | Class::Success | Class::Error, _) => Err(DropReason::Malformed),
        }
    }

    fn binding(
        &mut self,
        message: &Message<'_>,
        from: &FiveTuple,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        self.spend_budget(from, now)?;
        let request = Request { message, from };
        if message.unknown_attributes(&KNOWN).next().is_some() {
            self.refuse(request, ErrorCode::UNKNOWN_ATTRIBUTE, host);
            return Ok(());
        }
        self.counters.answer(Method::BINDING, None);
        Reply::success(request).send(None, host, |builder| builder.xor_mapped_address(from.client));
        Ok(())
    }

    fn request(
        &mut self,
        request: Request<'_>,
        auth: &Authenticator,
        host: &mut impl Host,
        now: Instant,
    ) -> Result<(), DropReason> {
        let Request { message, from } = request;
        let wall = self.wall_at(now);
        let key = self.by_tuple.get(from).copied();
        let known = key.and_then(|key| self.allocations.get(key));
        let known = known.map(|known| Known { username: &known.username, key: &known.key });
        let found = match auth.check(message, from, known, wall) {
            Ok(found) => found,
            Err(Refused::Bad) => {
                self.spend_budget(from, now)?;
                self.refuse(request, ErrorCode::BAD_REQUEST, host);
                return Ok(());
            }
            Err(Refused::Challenge(code, failure)) => {
                self.spend_budget(from, now)?;
                if failure != Failure::First {
                    tracing::debug!(client = %from.client, ?failure, "credentials refused");
                }
                self.counters.answer(message.method(), Some(code));
                Reply::error(request, code).challenge(auth, wall, host);
                return Ok(());
            }
        };
        // Whoever gets here was sent a nonce, and the answer reached it.
        if !from.transport.is_stream() {
            self.budget.refund(from.client.ip());
        }
        let (outcome, caller) = self.handle(request, key, found, host, now);
        self.conclude(request, outcome, caller.as_ref(), host);
        Ok(())
    }

    /// What the request comes to, and who is to be answered when it is not the owner of an allocation.
    fn handle<'a>(
        &mut self,
        request: Request<'_>,
        key: Option<usize>,
        found: Found<'a>,
        host: &mut impl Host,
        now: Instant,
    ) -> (Result<Granted, ErrorCode>, Option<Caller<'a>>) {
        let Request { message, .. } = request;
        if message.unknown_attributes(&KNOWN).next().is_some() {
            return (Err(ErrorCode::UNKNOWN_ATTRIBUTE), found.into_caller());
        }
        let allocate = message.method() == Method::ALLOCATE;
        let owner = key.and_then(|key| self.allocations.get(key)).map(|allocation| &allocation.username);
        let outcome = match (&found, key) {
            (Found::Caller(caller), Some(_)) if owner.is_some_and(|owner| **owner != *caller.username) => {
                Err(if allocate { ErrorCode::ALLOCATION_MISMATCH } else { ErrorCode::WRONG_CREDENTIALS })
            }
            (_, Some(key)) => match message.method() {
                Method::ALLOCATE => self.allocate_again(request, key, now),
                Method::REFRESH => self.refresh(request, key, host, now),
                Method::CREATE_PERMISSION => self.create_permission(request, key, now),
                _ => self.channel_bind(request, key, now),
            },
            (Found::Caller(_), None) if allocate => {
                let Found::Caller(caller) = found else { return (Err(ErrorCode::BAD_REQUEST), None) };
                return self.allocate(request, caller, host, now);
            }
            (_, None) => Err(ErrorCode::ALLOCATION_MISMATCH),
        };
        (outcome, found.into_caller())
    }

    /// Writes the answer, signed with the key of whoever asked.
    fn conclude(
        &mut self,
        request: Request<'_>,
        outcome: Result<Granted, ErrorCode>,
        caller: Option<&Caller<'_>>,
        host: &mut impl Host,
    ) {
        let key = self.by_tuple.get(request.from).copied();
        let allocation = key.and_then(|key| self.allocations.get(key));
        let signing = caller.map(|caller| &caller.key).or(allocation.map(|allocation| &allocation.key));
        self.counters.answer(request.message.method(), outcome.err());
        match outcome {
            Ok(granted) => {
                Reply::success(request).send(signing, host, |builder| granted.write(builder, request))
            }
            Err(ErrorCode::TRY_ALTERNATE) => {
                let alternate = self.alternate(request.from);
                Reply::error(request, ErrorCode::TRY_ALTERNATE).redirect(alternate, signing, host);
            }
            Err(code) => Reply::error(request, code).send(signing, host, |builder| builder),
        }
        if let (Ok(Granted::Ended), Some(key)) = (outcome, key) {
            self.remove(key, host);
        }
    }

    /// An answer that proves nothing about us and asks nothing of anybody.
    fn refuse(&mut self, request: Request<'_>, code: ErrorCode, host: &mut impl Host) {
        self.counters.answer(request.message.method(), Some(code));
        Reply::error(request, code).send(None, host, |builder| builder);
    }

    fn spend_budget(&mut self, from: &FiveTuple, now: Instant) -> Result<(), DropReason> {
        if from.transport.is_stream() {
            return Ok(());
        }
        match self.budget.take(from.client.ip(), self.since_start(now)) {
            Verdict::Passes => Ok(()),
            Verdict::Exceeds => Err(DropReason::Budget),
        }
    }

    /// An allocation of a client, and where it is.
    pub(super) fn allocation_of(&mut self, from: &FiveTuple) -> Result<(usize, &mut Allocation), DropReason> {
        let key = self.by_tuple.get(from).copied().ok_or(DropReason::NoAllocation)?;
        let allocation = self.allocations.get_mut(key).ok_or(DropReason::NoAllocation)?;
        Ok((key, allocation))
    }

    /// Attributes that make an indication unreadable.
    pub(super) fn is_understood(message: &Message<'_>) -> bool {
        message.unknown_attributes(&KNOWN).next().is_none()
    }
}

/// Attributes of a message that we do not know and would have to.
pub(super) fn unknown<'a>(message: &'a Message<'_>) -> impl Iterator<Item = AttributeType> + 'a {
    message.unknown_attributes(&KNOWN)
}

impl<'a> Found<'a> {
    fn into_caller(self) -> Option<Caller<'a>> {
        match self {
            Self::Owner => None,
            Self::Caller(caller) => Some(caller),
        }
    }
}
