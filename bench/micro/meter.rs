//! How a benchmark measures: CPU time of its own thread in slices, of which the median counts, so that other work on the
//! machine hides most of its noise.

use std::{fs, time::Duration};

/// The middle of what was measured.
pub(crate) fn median(slices: &mut [u64]) -> u64 {
    slices.sort_unstable();
    slices.get(slices.len() / 2).copied().unwrap_or_default()
}

/// As benchmarks tell times.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of this thread: the first number of its schedstat.
pub(crate) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}
