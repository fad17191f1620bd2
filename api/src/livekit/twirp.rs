//! Twirp: how a call is read and answered, and how it is refused.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use prost::Message;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use signaling::{ServiceError, token::Claims};

use super::json::{Shape, complete};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/protobuf");
/// Without a charset: the Node SDK compares the whole value.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The form of a call and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Protobuf,
    Json,
}

impl Codec {
    /// As the caller says; anything else is no call.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let bare = kind.split(';').next().unwrap_or_default().trim();
        match bare.to_ascii_lowercase().as_str() {
            "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refusal::new(Code::BadRoute, format!("unexpected Content-Type: {kind:?}"))),
        }
    }
}

/// A call whose token is genuine; what the token allows is still to be checked.
pub(super) struct Call {
    pub(super) codec: Codec,
    pub(super) claims: Claims,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn read<T: Message + Default + DeserializeOwned>(&self) -> Result<T, Refusal> {
        match self.codec {
            Codec::Protobuf => T::decode(self.body.clone())
                .map_err(|_| Refusal::new(Code::Malformed, "the protobuf request could not be decoded")),
            Codec::Json => serde_json::from_slice(&self.body).map_err(|error| {
                Refusal::new(Code::Malformed, format!("the json request could not be decoded: {error}"))
            }),
        }
    }

    pub(super) fn write<T: Message + Serialize>(
        &self,
        answer: &T,
        shape: &Shape,
    ) -> Result<Response, Refusal> {
        match self.codec {
            Codec::Protobuf => Ok(self.send(answer.encode_to_vec())),
            Codec::Json => {
                let written = serde_json::to_value(answer)
                    .and_then(|value| serde_json::to_vec(&complete(value, shape)));
                let failed = |error| {
                    tracing::error!(%error, "an answer could not be written");
                    Refusal::new(Code::Internal, "the answer could not be written")
                };
                written.map(|bytes| self.send(bytes)).map_err(failed)
            }
        }
    }

    /// An answer without a field that says anything but `list`, which is empty.
    pub(super) fn write_empty_list(&self, list: &str) -> Response {
        match self.codec {
            Codec::Protobuf => self.send(Vec::new()),
            Codec::Json => self.send(json!({ list: [] }).to_string().into_bytes()),
        }
    }

    fn send(&self, bytes: Vec<u8>) -> Response {
        let kind = match self.codec {
            Codec::Protobuf => PROTOBUF,
            Codec::Json => JSON,
        };
        ([(header::CONTENT_TYPE, kind)], bytes).into_response()
    }
}

/// Twirp's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadRoute,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    Malformed,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
}

impl Code {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BadRoute => "bad_route",
            Self::FailedPrecondition => "failed_precondition",
            Self::Internal => "internal",
            Self::InvalidArgument => "invalid_argument",
            Self::Malformed => "malformed",
            Self::NotFound => "not_found",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unauthenticated => "unauthenticated",
            Self::Unavailable => "unavailable",
            Self::Unimplemented => "unimplemented",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::BadRoute | Self::NotFound => StatusCode::NOT_FOUND,
            Self::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A call that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The token does not allow it. LiveKit says `unauthenticated` here, and SDKs expect it.
    pub(super) fn denied() -> Self {
        Self::new(Code::Unauthenticated, "permissions denied")
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        let code = match &error {
            ServiceError::NotFound(_) => Code::NotFound,
            ServiceError::InvalidArgument(_) => Code::InvalidArgument,
            ServiceError::FailedPrecondition(_) => Code::FailedPrecondition,
            ServiceError::ResourceExhausted(_) => Code::ResourceExhausted,
            ServiceError::Unavailable(_) => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code.name(), "msg": self.text, "meta": {} }).to_string();
        (self.code.status(), [(header::CONTENT_TYPE, JSON)], body).into_response()
    }
}
