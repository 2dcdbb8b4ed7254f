//! Why something was not sent, and what may help.

use std::time::Duration;

/// What may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Time: the far end is down, busy, or out of reach.
    Time,
    /// Somebody has to mend the set-up: the address, the trust in certificates, the credentials.
    Setup,
    /// Nothing: the far end has seen this message and does not take it.
    None,
}

/// Why something was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Failure {
    /// What may help.
    pub remedy: Remedy,
    /// What failed and why. No secret is in it.
    pub words: String,
    /// Time that the far end asked to be left alone for.
    pub asked: Option<Duration>,
    /// Whether the far end may have done what it was asked for all the same: the request was on its way, and no answer came.
    pub maybe_done: bool,
}

impl Failure {
    /// One that time may mend.
    #[must_use]
    pub fn passing(words: String) -> Self {
        Self::new(Remedy::Time, words)
    }

    /// One of the set-up.
    #[must_use]
    pub fn setup(words: String) -> Self {
        Self::new(Remedy::Setup, words)
    }

    /// One for which nothing helps.
    #[must_use]
    pub fn rejected(words: String) -> Self {
        Self::new(Remedy::None, words)
    }

    fn new(remedy: Remedy, words: String) -> Self {
        Self {
            remedy,
            words,
            asked: None,
            maybe_done: false,
        }
    }
}
