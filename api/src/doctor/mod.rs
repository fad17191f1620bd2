//! `sabha doctor`: looks for what would keep the server from working, and says in plain words what to do about it.
//!
//! Invariant: a finding that is not fine comes with its remedy.

mod host;
mod ports;
mod reach;
mod relay;

use std::{fmt, time::SystemTime};

use crate::config::Config;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Fine,
    /// It works, but not for everybody, or not as well as it could.
    Mind,
    /// Calls will fail.
    Broken,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What is so.
    pub what: String,
    /// What to do about it; empty when all is well.
    pub remedy: String,
}

impl Finding {
    fn fine(what: impl Into<String>) -> Self {
        Self { level: Level::Fine, what: what.into(), remedy: String::new() }
    }

    fn mind(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Mind, what: what.into(), remedy: remedy.into() }
    }

    fn broken(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Broken, what: what.into(), remedy: remedy.into() }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(pub Vec<Finding>);

impl Report {
    /// Whether calls will fail.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Broken)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for finding in &self.0 {
            let word = match finding.level {
                Level::Fine => "fine",
                Level::Mind => "mind",
                Level::Broken => "BROKEN",
            };
            writeln!(f, "  {word:<8}{}", finding.what)?;
            for line in finding.remedy.lines() {
                writeln!(f, "          -> {line}")?;
            }
        }
        let count = |level| self.0.iter().filter(|finding| finding.level == level).count();
        match (count(Level::Broken), count(Level::Mind)) {
            (0, 0) => writeln!(f, "\n  Nothing is wrong.\n"),
            (0, mind) => writeln!(f, "\n  It will work; {mind} thing(s) to mind.\n"),
            (broken, _) => writeln!(f, "\n  {broken} thing(s) to mend before calls work.\n"),
        }
    }
}

/// Looks at everything.
#[must_use]
pub fn examine(config: &Config, now: SystemTime) -> Report {
    let mut findings = ports::examine(config);
    findings.extend(reach::examine(&config.sfu));
    findings.extend(relay::examine(config, now));
    findings.extend(host::examine(config, now));
    Report(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_to_do_and_how_bad_it_is() {
        let report = Report(vec![
            Finding::fine("port 1 is free"),
            Finding::broken("port 2 is taken", "stop it\nor choose another"),
        ]);

        let text = report.to_string();

        assert!(report.is_broken());
        assert!(
            text.contains(
                "  BROKEN  port 2 is taken\n          -> stop it\n          -> or choose another\n"
            )
        );
        assert!(text.contains("1 thing(s) to mend"));
    }
}
