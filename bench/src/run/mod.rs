//! A run: a server, people who come in, a span that is measured.

mod crowd;
mod janus;
mod livekit;
mod person;
mod target;
mod window;

use std::{
    io::{self, IsTerminal, Write},
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime;

use self::{crowd::Crowd, window::Glance};
pub(crate) use self::{
    target::{Protocol, Target, TargetConfig, TargetError},
    window::Window,
};
use crate::{
    report::{Knee, Report, breaks},
    scenario::{Scenario, ScenarioError},
};

/// People come in at their pace; when all are in, media must flow within so long.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
const PROGRESS: Duration = Duration::from_secs(1);

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("{0}: {1}")]
    Io(String, io::Error),
    #[error("nobody came in: {0}")]
    Nobody(String),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    pub(crate) size: u32,
    pub(crate) measured: Duration,
    pub(crate) warmup: Duration,
    pub(crate) threads: usize,
    pub(crate) sample: u32,
    /// Processors of the server and of the clients, as taskset has them.
    pub(crate) pin: Option<(String, String)>,
}

/// One server, one span.
pub(crate) fn once(plan: &Plan, config: &TargetConfig) -> Result<Report, RunError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| RunError::Io("starting".into(), error))?;
    runtime.block_on(async {
        let mut target = Target::start(config, plan).await?;
        let report = measure(plan, &target).await;
        target.stop().await;
        if plan.pin.is_some() {
            target::unpin().await;
        }
        report
    })
}

/// Two servers by turns, so that whatever else the machine does meets both.
pub(crate) fn by_turns(
    plan: &Plan,
    targets: &(TargetConfig, TargetConfig),
    rounds: u32,
    mut show: impl FnMut(&Report),
) -> Result<Vec<(Report, Report)>, RunError> {
    let mut pairs = Vec::new();
    for round in 0..rounds {
        let mut run = |target| {
            let report = once(plan, target)?;
            show(&report);
            Ok::<_, RunError>(report)
        };
        // Each is first as often as the other.
        pairs.push(if round % 2 == 0 {
            let first = run(&targets.0)?;
            (first, run(&targets.1)?)
        } else {
            let second = run(&targets.1)?;
            (run(&targets.0)?, second)
        });
    }
    Ok(pairs)
}

/// Larger and larger until something breaks, then once between what held and what did not.
pub(crate) fn ramp(
    plan: &Plan,
    target: &TargetConfig,
    sizes: RangeInclusive<u32>,
    mut show: impl FnMut(&Report),
) -> Result<(Vec<Report>, Knee), RunError> {
    let (mut runs, mut knee) = (Vec::new(), Knee { held: None, broke: None });
    let (mut size, last) = (*sizes.start(), *sizes.end());
    let mut refined = false;
    while size <= last {
        let why = match once(&Plan { size, ..plan.clone() }, target) {
            Ok(report) => {
                show(&report);
                let why = breaks(&report);
                runs.push(report);
                why
            }
            Err(error) if runs.is_empty() => return Err(error),
            // What was measured before is worth keeping.
            Err(error) => Some(error.to_string()),
        };
        match why {
            Some(why) => knee.broke = Some((size, why)),
            None => knee.held = Some(size),
        }
        size = match (knee.held, &knee.broke) {
            (Some(held), Some((broke, _))) if !refined && *broke > held + 1 => {
                refined = true;
                held + (broke - held) / 2
            }
            (_, Some(_)) => break,
            (_, None) if size == last => break,
            (_, None) => (size + size / 2).max(size + 1).min(last),
        };
    }
    Ok((runs, knee))
}

async fn measure(plan: &Plan, target: &Target) -> Result<Report, RunError> {
    if let Some((_, clients)) = &plan.pin {
        target::pin(std::process::id(), clients).await;
    }
    let idle = target.cost();
    let crowd = Crowd::gather(plan, target.access())?;
    let crowd = Arc::new(crowd);
    enter(plan, &crowd, target).await?;
    progress(&crowd, target, plan.warmup, "settling").await;

    crowd.mark().await;
    let before = Glance::take(target, &crowd).await;
    progress(&crowd, target, plan.measured, "measuring").await;
    let after = Glance::take(target, &crowd).await;
    let figures = crowd.mark().await;

    let tally = crowd.tally();
    crowd.dismiss().await;
    Ok(Report::new(plan, target, &Window { idle, before, after, figures, tally }))
}

/// Waits until everybody is in and sees what there is to see.
async fn enter(plan: &Plan, crowd: &Arc<Crowd>, target: &Target) -> Result<(), RunError> {
    let arriving = tokio::spawn(Arc::clone(crowd).arrive());
    let mut line = Line::new(crowd, target);
    while !arriving.is_finished() {
        tokio::time::sleep(LOOK).await;
        line.show("joining");
    }
    let last = Instant::now() + PATIENCE.max(plan.warmup);
    while !crowd.is_settled() && Instant::now() < last {
        tokio::time::sleep(LOOK).await;
        line.show("joining");
    }
    let tally = crowd.tally();
    if tally.secured == 0 {
        let error = tally.errors.keys().next().cloned();
        return Err(RunError::Nobody(error.unwrap_or_else(|| "no answer".into())));
    }
    Ok(())
}

async fn progress(crowd: &Arc<Crowd>, target: &Target, time: Duration, doing: &str) {
    let end = Instant::now() + time;
    let mut line = Line::new(crowd, target);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        tokio::time::sleep(left.min(LOOK)).await;
        line.show(doing);
    }
}

/// The live line: what happened in the last second.
struct Line<'a> {
    crowd: &'a Crowd,
    target: &'a Target,
    since: Instant,
    received: u64,
    expected: u64,
    cpu: Duration,
}

impl<'a> Line<'a> {
    fn new(crowd: &'a Crowd, target: &'a Target) -> Self {
        let (received, expected) = crowd.shown();
        Self { crowd, target, since: Instant::now(), received, expected, cpu: target.cost().cpu }
    }

    fn show(&mut self, doing: &str) {
        let span = self.since.elapsed();
        let mut out = io::stderr();
        if span < PROGRESS || !out.is_terminal() {
            return;
        }
        let (received, expected) = self.crowd.shown();
        let cpu = self.target.cost().cpu;
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let (packets, lost) = {
            let (received, expected) = (received - self.received, expected - self.expected);
            (received as f64, expected.saturating_sub(received) as f64 * 100.0 / expected.max(1) as f64)
        };
        let share = cpu.saturating_sub(self.cpu).as_secs_f64() * 100.0 / span.as_secs_f64();
        let _ = write!(
            out,
            "\r\x1b[K{doing}: {} in, {:.1} k packets/s, {lost:.2} % lost, server {share:.0} %",
            self.crowd.tally().secured,
            packets / span.as_secs_f64() / 1e3,
        );
        let _ = out.flush();
        (self.since, self.received, self.expected, self.cpu) = (Instant::now(), received, expected, cpu);
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let mut out = io::stderr();
        if out.is_terminal() {
            let _ = write!(out, "\r\x1b[K");
        }
    }
}
