//! What the agent's loop has put up for whoever asks by HTTP: answers are made of it without waiting.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    config::Level,
    http::{Answers, Page},
    ledger::{AgentFigures, Ledger, NodeFigures},
    metrics, own,
    words::Words,
};

/// A loop that has not turned for so long does not live: a listing of sockets may take some 20 seconds.
const TOO_LONG: Duration = Duration::from_secs(60);

/// The board.
pub struct Board {
    posted: Mutex<Posted>,
    words: Arc<Words>,
}

/// What is on it.
pub struct Posted {
    /// Counters and holders.
    pub ledger: Ledger,
    /// The node.
    pub node: NodeFigures,
    /// The agent itself, but for what is read when somebody asks.
    pub agent: AgentFigures,
    /// When sockets were listed last.
    pub scanned: Option<Instant>,
    /// The last report, as JSON.
    pub report: Option<Bytes>,
    /// The plan, as JSON.
    pub plan: Bytes,
    /// Whether counting has begun; if not, why.
    pub ready: Result<(), String>,
    /// When the loop turned last.
    pub beat: Instant,
}

impl Board {
    /// A board on which nothing stands yet.
    #[must_use]
    pub fn new(ledger: Ledger, agent: AgentFigures, words: Arc<Words>) -> Self {
        Self {
            posted: Mutex::new(Posted {
                ledger,
                node: NodeFigures::default(),
                agent,
                scanned: None,
                report: None,
                plan: Bytes::from_static(b"null"),
                ready: Err("it has not begun yet".to_owned()),
                beat: Instant::now(),
            }),
            words,
        }
    }

    /// What is on it. Nobody waits while they hold it.
    pub fn posted(&self) -> MutexGuard<'_, Posted> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more time that a bound was hit.
    pub fn hit(&self, bound: &'static str) {
        self.hit_times(bound, 1);
    }

    /// So many more.
    pub fn hit_times(&self, bound: &'static str, times: u64) {
        let mut posted = self.posted();
        let bounds: &mut BTreeMap<_, u64> = &mut posted.agent.bounds_hit;
        let hits = bounds.entry(bound).or_default();
        *hits = hits.saturating_add(times);
    }

    /// The page of metrics as it is now.
    #[must_use]
    pub fn page(&self, format: metrics::Format) -> String {
        let posted = self.posted();
        let agent = AgentFigures {
            scan_age: posted.scanned.map(|at| at.elapsed()),
            cpu: own::cpu(),
            resident_bytes: own::resident_bytes(),
            open_files: own::open_files(),
            ..posted.agent.clone()
        };
        let figures = posted.ledger.figures(posted.node, agent);
        drop(posted);
        metrics::render(metrics::Page::of(&figures), format)
    }
}

impl Answers for Board {
    fn metrics(&self, accept: &str) -> Page {
        let format = metrics::Format::accepted(accept);
        Page {
            media_type: format.content_type(),
            body: self.page(format).into(),
        }
    }

    fn health(&self) -> Result<(), String> {
        let still = self.posted().beat.elapsed();
        match still > TOO_LONG {
            true => Err(format!(
                "the loop has stood still for {} s",
                still.as_secs()
            )),
            false => Ok(()),
        }
    }

    fn ready(&self) -> Result<(), String> {
        self.posted().ready.clone()
    }

    fn report(&self) -> Option<Bytes> {
        self.posted().report.clone()
    }

    fn plan(&self) -> Bytes {
        self.posted().plan.clone()
    }

    fn bound_hit(&self, bound: &'static str) {
        self.hit(bound);
    }

    fn say(&self, words: &str) {
        self.words.say(Level::Warn, words);
    }
}
