//! Why a call brought no answer.

use std::future::Future;

use tokio::time::{Instant, timeout_at};
use tracer_cri::tonic::{Code, Response, Status};

/// Letters of a runtime's own words that are passed on.
pub(super) const WORDS_MAX: usize = 200;

/// Why a call brought no answer.
pub(super) enum Failure {
    /// The connection is gone, as when the runtime was restarted: another one may do.
    Connection(String),
    /// The runtime does not know the call.
    Unknown,
    /// Anything else.
    Other(String),
}

impl Failure {
    pub(super) fn words(self) -> String {
        match self {
            Self::Connection(words) | Self::Other(words) => words,
            Self::Unknown => "it does not know this call".to_owned(),
        }
    }
}

pub(super) fn late() -> Failure {
    Failure::Other("it did not answer in time".to_owned())
}

pub(super) async fn within<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(failure(&status)),
        Err(_) => Err(late()),
    }
}

fn failure(status: &Status) -> Failure {
    let words = short(&format!("{:?}: {}", status.code(), status.message()));
    match status.code() {
        Code::Unimplemented => Failure::Unknown,
        // What the connection fails by is a status that was made on this side.
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::Internal => {
            Failure::Connection(words)
        }
        _ => Failure::Other(words),
    }
}

/// The first of a text that others have written.
pub(super) fn short(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}
