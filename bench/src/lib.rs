//! Load for any LiveKit-compatible server, and what it costs the server: the library behind `sabha-bench`.
//!
//! A run reads a scenario, brings its people into rooms, lets media flow, and measures from outside: what clients got
//! and when, what the server's process spent. What the server says of itself is shown beside it, never instead.

mod args;
mod client;
mod floor;
mod measure;
mod media;
mod report;
mod run;
mod scenario;
mod signal;

pub use args::main;
