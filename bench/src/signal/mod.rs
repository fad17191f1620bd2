//! How clients come to terms with a server.

mod answer;
pub(crate) mod janus;
pub(crate) mod livekit;
pub(crate) mod numbers;
mod offer;
mod reply;

pub(crate) use self::{
    answer::{Remote, SdpError, candidate},
    offer::{Line, Offer},
    reply::Reply,
};
