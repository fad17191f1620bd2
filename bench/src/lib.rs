//! Load and micro benchmarks of the house.
