//! The edges: HTTP, configuration and the web client.
