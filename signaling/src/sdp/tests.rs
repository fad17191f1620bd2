//! Promises of reading and writing descriptions.
