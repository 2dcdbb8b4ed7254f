//! The unix socket of the agent: commands on the same node ask it rather than load a second copy of everything, and no TCP memory is
//! needed for that.
//!
//! A client writes one line of JSON, a [`Request`], and gets one line: the document that it asked for, or `{"error": "…"}`. After
//! `follow` there is a line after each window, until the client closes. Whoever is neither root nor the agent's own user is refused.

mod client;
mod listener;
mod server;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub use client::{AskError, Following, ask, follow};
pub use listener::{BindError, Listener};

use crate::{agent::config, cli};

/// Longest request, in bytes.
const MAX_REQUEST: usize = 4096;
/// Longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// Lines that wait for one who follows. Whoever is further behind is dropped.
const MAX_BEHIND: usize = 2;
/// Longest window that may be asked for.
const MAX_WINDOW: Duration = Duration::from_secs(600);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A report: of a window that begins now and is so long, or without one the last that was made.
    Report {
        /// Its length, such as `"10s"`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<Span>,
    },
    /// What the agent is at.
    Status {},
    /// A report after each window.
    Follow {},
}

/// A length of time within a request, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// The time, if a window may be so long: from a second to ten minutes.
    ///
    /// # Errors
    /// When it may not.
    pub fn new(time: Duration) -> Result<Self, String> {
        match (Duration::from_secs(1)..=MAX_WINDOW).contains(&time) {
            true => Ok(Self(time)),
            false => Err("a window has from 1s to 10m".to_owned()),
        }
    }

    /// As a number.
    #[must_use]
    pub const fn time(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(cli::duration(&text)?)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        config::time(span.0)
    }
}

/// Where an answer goes: a document, without a line break, or why there is none.
pub type Reply = oneshot::Sender<Result<Bytes, String>>;

/// What the agent's loop is asked.
#[derive(Debug)]
pub enum Asked {
    /// A report of the next window of that length, or the last one.
    Report {
        /// The window; `None` for the last report.
        window: Option<Duration>,
        /// Where it goes.
        reply: Reply,
    },
    /// What the agent is at.
    Status {
        /// Where it goes.
        reply: Reply,
    },
    /// Another one who follows: to be given to [`Followers`].
    Follow {
        /// Where lines go.
        lines: mpsc::Sender<Bytes>,
    },
}

/// All who follow.
#[derive(Debug, Default)]
pub struct Followers(Vec<mpsc::Sender<Bytes>>);

impl Followers {
    /// One more.
    pub fn add(&mut self, lines: mpsc::Sender<Bytes>) {
        self.0.push(lines);
    }

    /// Whether there is nobody to tell anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives everybody a line, and waits for nobody. How many were dropped because they are too far behind.
    pub fn tell(&mut self, line: &Bytes) -> usize {
        let mut slow = 0;
        self.0.retain(|lines| match lines.try_send(line.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                slow += 1;
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
        slow
    }
}

/// An error as a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    error: String,
}

/// How the line of an error begins, and no document does.
const TROUBLE: &[u8] = b"{\"error\":";

#[cfg(test)]
mod tests;
