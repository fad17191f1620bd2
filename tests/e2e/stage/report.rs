//! What a run says at its end: every journey, and the figures that were measured on the way.

use std::time::Duration;

use super::failure::Failure;

/// How a journey ended.
pub(crate) enum Outcome {
    Passed,
    Failed(Failure),
    /// It failed so at first, and did not when it was made again.
    Unsteady(Failure),
    Skipped(String),
}

/// What a run says at its end.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<(String, Outcome, Duration)>,
    figures: Vec<(String, String)>,
}

impl Report {
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.figures.push((name.into(), value.into()));
    }

    pub(crate) fn ended(&mut self, name: &str, outcome: Outcome, took: Duration) {
        let word = match &outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Failed(why) => format!("FAILED\n    {why}"),
            Outcome::Unsteady(why) => format!("ok, UNSTEADY\n    {why}"),
            Outcome::Skipped(why) => format!("ignored, {why}"),
        };
        println!("test {name} ({:.1} s) ... {word}", took.as_secs_f64());
        self.lines.push((name.to_owned(), outcome, took));
    }

    /// Prints the tables; gives whether nothing failed and no more than so many journeys are unsteady.
    pub(crate) fn close(&self, unsteady_max: usize, took: Duration) -> bool {
        let count =
            |is: fn(&Outcome) -> bool| self.lines.iter().filter(|(_, outcome, _)| is(outcome)).count();
        let unsteady = count(|outcome| matches!(outcome, Outcome::Unsteady(_)));
        let passed = count(|outcome| matches!(outcome, Outcome::Passed)) + unsteady;
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        if !self.figures.is_empty() {
            println!("\nfigures");
        }
        let width = self.figures.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &self.figures {
            println!("  {name:width$}  {value}");
        }
        for (name, outcome, _) in &self.lines {
            match outcome {
                Outcome::Failed(why) => println!("\nfailed: {name}\n    {why}"),
                Outcome::Unsteady(why) => println!("\nunsteady: {name}\n    {why}"),
                Outcome::Passed | Outcome::Skipped(_) => {}
            }
        }
        let sound = failed == 0 && unsteady <= unsteady_max;
        let word = if sound { "ok" } else { "FAILED" };
        println!(
            "\ntest result: {word}. {passed} passed ({unsteady} unsteady); {failed} failed; {skipped} ignored; \
             finished in {:.2}s\n",
            took.as_secs_f64()
        );
        sound
    }
}

/// The middle of some durations, in milliseconds.
pub(crate) fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
