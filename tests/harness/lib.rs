//! What a world is: a seed, a clock, a network, some people.
