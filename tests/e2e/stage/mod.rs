//! What the journeys stand on: a street of hosts, the server in one of them, people in the others.

pub(crate) mod failure;
pub(crate) mod http;
pub(crate) mod network;
pub(crate) mod people;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod report;
pub(crate) mod server;
pub(crate) mod token;
pub(crate) mod world;
