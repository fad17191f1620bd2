//! LiveKit's other services: known, so that dashboards and SDKs get a clear answer, but without workers behind them.
//!
//! Lists are empty; everything else is `failed_precondition`, which no SDK tries again.

use axum::response::Response;
use serde_json::Value;
use signaling::token::{Claims, VideoGrant};

use super::twirp::{Call, Code, Codec, Refusal};

/// A service, its methods, and what a bearer must be allowed.
struct Service {
    name: &'static str,
    methods: &'static [&'static str],
    may: fn(&VideoGrant) -> bool,
    /// What it would take.
    lacks: &'static str,
}

const SERVICES: [Service; 4] = [
    Service {
        name: "AgentDispatchService",
        methods: &["CreateDispatch", "DeleteDispatch", "ListDispatch"],
        may: |grant| grant.room_admin,
        lacks: "no agent workers are connected",
    },
    Service {
        name: "Egress",
        methods: &[
            "StartEgress",
            "StartRoomCompositeEgress",
            "StartWebEgress",
            "StartParticipantEgress",
            "StartTrackCompositeEgress",
            "StartTrackEgress",
            "UpdateLayout",
            "UpdateStream",
            "ListEgress",
            "StopEgress",
        ],
        may: |grant| grant.room_record,
        lacks: "egress not connected",
    },
    Service {
        name: "Ingress",
        methods: &["CreateIngress", "UpdateIngress", "ListIngress", "DeleteIngress"],
        may: |grant| grant.ingress_admin,
        lacks: "ingress not connected",
    },
    Service {
        name: "SIP",
        methods: &[
            "ListSIPTrunk",
            "CreateSIPInboundTrunk",
            "CreateSIPOutboundTrunk",
            "UpdateSIPInboundTrunk",
            "UpdateSIPOutboundTrunk",
            "GetSIPInboundTrunk",
            "GetSIPOutboundTrunk",
            "ListSIPInboundTrunk",
            "ListSIPOutboundTrunk",
            "DeleteSIPTrunk",
            "CreateSIPDispatchRule",
            "UpdateSIPDispatchRule",
            "ListSIPDispatchRule",
            "DeleteSIPDispatchRule",
            "CreateSIPParticipant",
            "TransferSIPParticipant",
        ],
        // Its grants are of another kind, and there is nothing to protect.
        may: |_| true,
        lacks: "sip not connected",
    },
];

/// The methods of a service.
pub(super) fn methods(service: &str) -> Option<(&'static str, &'static [&'static str])> {
    SERVICES.iter().find(|known| known.name == service).map(|known| (known.name, known.methods))
}

pub(super) fn answer(service: &str, method: &str, call: &Call) -> Result<Response, Refusal> {
    let Some(known) = SERVICES.iter().find(|known| known.name == service) else {
        return Err(Refusal::new(Code::BadRoute, "no such service"));
    };
    if !allowed(known, &call.claims) {
        return Err(Refusal::denied());
    }
    if call.codec == Codec::Json && serde_json::from_slice::<Value>(&call.body).is_err() {
        return Err(Refusal::new(Code::Malformed, "the json request could not be decoded"));
    }
    match method {
        "ListDispatch" => Ok(call.write_empty_list("agent_dispatches")),
        list if list.starts_with("List") => Ok(call.write_empty_list("items")),
        _ => Err(Refusal::new(Code::FailedPrecondition, known.lacks)),
    }
}

fn allowed(service: &Service, claims: &Claims) -> bool {
    match &claims.video {
        Some(grant) => (service.may)(grant),
        None => (service.may)(&VideoGrant::default()),
    }
}
