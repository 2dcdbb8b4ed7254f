//! Questions on the unix socket.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::Agent;
use crate::{
    agent::socket::{Asked, Reply},
    report::{IncidentState, Report},
};

/// Questions for windows that are open.
#[derive(Debug, Default)]
pub(super) struct Questions(Vec<Question>);

/// A report that is wanted of a window that has begun.
#[derive(Debug)]
struct Question {
    since: Timestamp,
    due: Instant,
    reply: Reply,
}

/// What the agent is at.
#[derive(Debug, Serialize)]
struct Status<'a> {
    tcpress: &'static str,
    attached: bool,
    detached: Option<&'a str>,
    window_seconds: f64,
    incident: Option<&'a IncidentState>,
    recorded_since: Option<Timestamp>,
    bounds_hit: &'a std::collections::BTreeMap<&'static str, u64>,
}

impl Questions {
    /// When the first one wants its window to end.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|question| question.due).min()
    }
}

impl Agent {
    /// Answers at once, or as soon as the window that was asked for is over.
    pub(super) fn hear(&mut self, asked: Asked) -> anyhow::Result<()> {
        match asked {
            Asked::Report {
                window: None,
                reply,
            } => {
                let last = self.board.posted().report.clone();
                // Whoever asked may have gone.
                let _ = reply.send(last.ok_or_else(|| "there is no report yet".to_owned()));
            }
            Asked::Report {
                window: Some(window),
                reply,
            } => self.begin_question(window, reply)?,
            Asked::Status { reply } => {
                let _ = reply.send(self.status().map_err(|error| error.to_string()));
            }
            Asked::Follow { lines } => {
                self.followers.add(lines);
                self.next_turn = self.next_turn.min(Instant::now() + self.interval());
            }
        }
        Ok(())
    }

    fn begin_question(&mut self, window: Duration, reply: Reply) -> anyhow::Result<()> {
        if !self.counting.is_on() {
            let why = self.board.posted().agent.detached.clone();
            let _ = reply.send(Err(format!("detached: {}", why.unwrap_or_default())));
            return Ok(());
        }
        // So that the answer holds what comes from now on, and nothing of before.
        self.turn()?;
        self.questions.0.push(Question {
            since: Timestamp::now(),
            // It began when the one before it ended, not when all was done with that.
            due: self.turned + window,
            reply,
        });
        Ok(())
    }

    /// Answers those whose window is over, after a turn.
    pub(super) fn answer(&mut self) {
        let now = Instant::now();
        let (due, open) = std::mem::take(&mut self.questions.0)
            .into_iter()
            .partition(|question| now >= question.due);
        self.questions.0 = open;
        let due: Vec<Question> = due;
        for question in due {
            let answer = self
                .recorder
                .between(question.since, Timestamp::now())
                .map_err(|error| error.to_string())
                .and_then(|capture| line(&capture.report_of(super::OWNERS)));
            let _ = question.reply.send(answer);
        }
    }

    /// Nothing is counted any more: whoever waits for a window is told why there will be none.
    pub(super) fn refuse(&mut self, why: &str) {
        for question in std::mem::take(&mut self.questions.0) {
            let _ = question.reply.send(Err(format!("detached: {why}")));
        }
    }

    fn status(&self) -> serde_json::Result<Bytes> {
        let posted = self.board.posted();
        let status = Status {
            tcpress: env!("CARGO_PKG_VERSION"),
            attached: posted.agent.attached,
            detached: posted.agent.detached.as_deref(),
            window_seconds: self.interval().as_secs_f64(),
            incident: self.following.as_ref().map(|it| it.state()),
            recorded_since: posted.agent.recorder_oldest,
            bounds_hit: &posted.agent.bounds_hit,
        };
        serde_json::to_vec(&status).map(Bytes::from)
    }
}

/// A report on one line, without its break.
pub(super) fn line(report: &Report) -> Result<Bytes, String> {
    let line = serde_json::to_vec(report);
    line.map(Bytes::from).map_err(|error| error.to_string())
}
