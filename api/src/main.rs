//! `sabha`: the one binary.

fn main() {}
