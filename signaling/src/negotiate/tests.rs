//! Promises of negotiation.
