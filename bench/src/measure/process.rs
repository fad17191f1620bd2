//! What a process has cost so far, from `/proc`.

use std::{fs, time::Duration};

/// Ticks in a second of `/proc/<pid>/stat` on every Linux there is (`USER_HZ`).
const TICKS: u64 = 100;

/// A process to be watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// What it has cost since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Time on a processor, all threads together, to the nanosecond.
    pub(crate) cpu: Duration,
    /// The same by where it was spent, to the hundredth of a second.
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// Bytes in memory.
    pub(crate) resident: u64,
    /// How often a thread waited, and how often it was put aside.
    pub(crate) voluntary_switches: u64,
    pub(crate) involuntary_switches: u64,
}

impl Process {
    pub(crate) fn cost(self) -> Cost {
        let pid = self.0;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in brackets may have spaces in it: fields are counted after it, the state being the third.
        let fields: Vec<u64> = stat
            .rsplit_once(") ")
            .map(|(_, rest)| rest.split(' ').map(|field| field.parse().unwrap_or(0)).collect())
            .unwrap_or_default();
        let ticks =
            |field: usize| Duration::from_millis(fields.get(field - 3).copied().unwrap_or(0) * 1_000 / TICKS);
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mut cost = Cost {
            user: ticks(14),
            system: ticks(15),
            resident: number(&status, "VmRSS:") * 1_024,
            ..Cost::default()
        };
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let path = thread.path();
            let schedstat = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
            let nanos = schedstat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
            cost.cpu += Duration::from_nanos(nanos);
            let status = fs::read_to_string(path.join("status")).unwrap_or_default();
            cost.voluntary_switches += number(&status, "voluntary_ctxt_switches:");
            cost.involuntary_switches += number(&status, "nonvoluntary_ctxt_switches:");
        }
        cost
    }
}

fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let cost = Process(std::process::id()).cost();

        assert!(cost.resident > 100_000 && cost.cpu > Duration::ZERO, "{cost:?}");
    }
}
