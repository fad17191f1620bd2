//! Money: memberships, payments and the double-entry ledger.
#![deny(clippy::float_arithmetic, clippy::arithmetic_side_effects)]
#![warn(clippy::wildcard_enum_match_arm)]
