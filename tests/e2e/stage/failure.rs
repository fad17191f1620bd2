//! Why a journey did not reach its end.

use std::io;

/// The result of a step.
pub(crate) type Step<T = ()> = Result<T, Failure>;

/// Why a journey did not reach its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A person's program answered with an error.
    #[error("{who} could not {verb}: {error}")]
    Refused {
        who: String,
        verb: String,
        error: String,
        /// The code that the SDK gave, if it gave one.
        code: Option<String>,
    },
    /// Nothing came before the deadline.
    #[error("{0} in {1} s")]
    TooLate(String, u64),
    /// A program is not there any more.
    #[error("{0} ended")]
    Ended(String),
    /// Something came, and it was not what was promised.
    #[error("{0}")]
    Broken(String),
    /// The journey cannot be made here; this says why.
    #[error("{0}")]
    Skipped(String),
    #[error("{0}")]
    Io(String, #[source] io::Error),
}

impl Failure {
    pub(crate) fn io(what: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let what = what.to_owned();
        move |error| Self::Io(format!("{what}: {error}"), error)
    }
}

/// Fails with what was seen unless the promise is kept.
#[expect(clippy::fn_params_excessive_bools, reason = "whether the promise is kept is all it asks")]
pub(crate) fn promise(kept: bool, seen: impl FnOnce() -> String) -> Step {
    if kept { Ok(()) } else { Err(Failure::Broken(seen())) }
}
