//! All runs of one command together, for programs and for a page.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::floor::Floor;

/// A delay or a loss beyond these, and the server is past its knee.
pub(crate) const DELAY_P99_MAX_MS: f64 = 20.0;
pub(crate) const LOST_MAX_PERCENT: f64 = 0.5;

/// All runs of one command.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Book {
    pub(crate) command: String,
    pub(crate) machine: String,
    pub(crate) runs: Vec<Report>,
    /// Sizes between which a ramp found the knee.
    pub(crate) knee: Option<Knee>,
    pub(crate) comparison: Option<Comparison>,
    pub(crate) floors: Vec<Floor>,
}

/// Where a ramp ended.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Knee {
    /// The largest size that held.
    pub(crate) held: Option<u32>,
    /// The smallest that did not, and why.
    pub(crate) broke: Option<(u32, String)>,
}

/// Why a run is past the knee, if it is.
pub(crate) fn breaks(report: &Report) -> Option<String> {
    if let Some(limit) = report.generator.limits.first() {
        return Some(format!("the clients were the limit: {limit}"));
    }
    if report.people.failed > 0 {
        return Some(format!("{} could not join", report.people.failed));
    }
    if report.media.lost_percent > LOST_MAX_PERCENT {
        return Some(format!("{:.2} % were lost", report.media.lost_percent));
    }
    let p99 = report.delay_ms.p99;
    (p99 > DELAY_P99_MAX_MS).then(|| format!("added delay {p99:.1} ms at p99"))
}

/// Two servers, measured by turns.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) names: (String, String),
    pub(crate) rows: Vec<Row>,
}

/// One figure of both.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Median, lowest, highest.
    pub(crate) first: (f64, f64, f64),
    pub(crate) second: (f64, f64, f64),
    /// The second by the first, round by round: median, lowest, highest.
    pub(crate) ratio: (f64, f64, f64),
}

type Figure = (&'static str, fn(&Report) -> Option<f64>);

const FIGURES: [Figure; 10] = [
    ("CPU per packet, ns", |run| run.server.as_ref()?.ns_per_packet),
    ("CPU per participant, µs/s", |run| Some(run.server.as_ref()?.us_per_participant_second)),
    ("memory per participant, KiB", |run| Some(run.server.as_ref()?.kib_per_participant)),
    ("context switches per packet", |run| run.server.as_ref()?.switches_per_packet),
    ("packets out, 1/s", |run| Some(run.media.packets_out_per_second)),
    ("lost, %", |run| Some(run.media.lost_percent)),
    ("added delay p50, ms", |run| Some(run.delay_ms.p50)),
    ("added delay p99, ms", |run| Some(run.delay_ms.p99)),
    ("join p50, ms", |run| Some(run.join_ms.p50)),
    ("first picture p50, ms", |run| (run.first_picture_ms.count > 0).then_some(run.first_picture_ms.p50)),
];

impl Comparison {
    /// Rounds of pairs; the runs alternate as they were made.
    pub(crate) fn new(rounds: &[(Report, Report)]) -> Option<Self> {
        let (first, second) = rounds.first()?;
        let names = (first.target.clone(), second.target.clone());
        let row = |(name, of): &Figure| {
            let pairs: Vec<(f64, f64)> =
                rounds.iter().filter_map(|(first, second)| Some((of(first)?, of(second)?))).collect();
            if pairs.is_empty() {
                return None;
            }
            let ratios = pairs.iter().filter(|(first, _)| *first > 0.0).map(|(first, second)| second / first);
            Some(Row {
                name,
                first: spread(pairs.iter().map(|pair| pair.0)),
                second: spread(pairs.iter().map(|pair| pair.1)),
                ratio: spread(ratios),
            })
        };
        Some(Self { names, rows: FIGURES.iter().filter_map(row).collect() })
    }

    /// For a terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:30} {:>26} {:>26} {:>24}\n", "", self.names.0, self.names.1, "ratio");
        for row in &self.rows {
            let show = |(median, low, high): (f64, f64, f64)| {
                format!("{} [{}–{}]", figure(median), figure(low), figure(high))
            };
            let line = format!(
                "{:30} {:>26} {:>26} {:>24}\n",
                row.name,
                show(row.first),
                show(row.second),
                show(row.ratio)
            );
            text.push_str(&line);
        }
        text
    }
}

/// Median, lowest, highest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(values.len() / 2), at(0), at(values.len().saturating_sub(1)))
}

/// Three digits that matter.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

impl Book {
    /// What this machine is.
    pub(crate) fn describe_machine() -> String {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let models: BTreeMap<&str, u32> = info
            .lines()
            .filter_map(|line| line.strip_prefix("model name"))
            .fold(BTreeMap::new(), |mut all, name| {
                *all.entry(name.trim_start_matches(['\t', ' ', ':'])).or_default() += 1;
                all
            });
        let models: Vec<String> = models.iter().map(|(name, count)| format!("{count} × {name}")).collect();
        let release = read("/proc/sys/kernel/osrelease");
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().unwrap_or_default();
        format!("{}, Linux {}, load {load} at the end", models.join(", "), release.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_and_both_ends() {
        assert_eq!(spread([3.0, 1.0, 2.0].into_iter()), (2.0, 1.0, 3.0));
    }

    #[test]
    fn figures_show_what_matters() {
        assert_eq!(figure(1_234.5), "1234");
        assert_eq!(figure(0.01234), "0.0123");
        assert_eq!(figure(f64::NAN), "–");
    }
}
