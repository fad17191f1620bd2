//! How clients come to terms with a server.

mod answer;
pub(crate) mod livekit;
pub(crate) mod numbers;
mod offer;

pub(crate) use self::{
    answer::{Remote, SdpError, candidate},
    offer::{Line, Offer},
};
