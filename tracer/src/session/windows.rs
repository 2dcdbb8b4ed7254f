//! Windows one after the other, each an observation of its own, with no gap between them and nothing attached anew.
//!
//! What every long run is made of. Every count is in exactly one window, so windows in a row can be added up. The calls of one turn:
//!
//! ```no_run
//! # use std::time::{Duration, Instant};
//! # use tracer::{report::Node, session::Windows};
//! # async fn run(mut windows: Windows, node: &Node) -> anyhow::Result<()> {
//! loop {
//!     windows.wait(Instant::now() + Duration::from_secs(10)).await?;
//!     let report = windows.turn()?.report(node, 100);
//!     println!("{}", report.verdict.headline);
//! }
//! # }
//! ```

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;

use super::{
    Clocks, Observation, Pace, Survey, Watch,
    baseline::Baseline,
    explain::observer,
    held::{self, Effort},
    survey::snapshot,
};
use crate::{
    aggregate::Delta,
    attribute::{Attributor, Live, Sources},
    context::Observer,
    indicators::{
        TcpMemory, memory,
        readings::{self, NetnsReading},
        rows::Snapshot,
    },
    kernel::Plan,
};

/// Between two readings of the kernel's counters within a window, for namespaces that die in it.
pub const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// A row of windows, the last of which is open.
pub struct Windows {
    by: By,
    start: Arc<Survey>,
    pace: Pace,
    /// Looks at owners while the window is open, where that was asked for.
    observer: Option<Observer>,
}

/// Who counts.
enum By {
    Probes(Box<Watch>),
    Counters(Box<Counters>),
}

/// What happened since the last tick, and how the node's memory stands.
#[derive(Clone, Debug)]
pub struct Tick {
    /// What each key did; `None` when nothing is traced.
    pub deltas: Option<Vec<Delta>>,
    /// TCP memory of the node.
    pub memory: TcpMemory,
}

/// Windows without kernel programs.
struct Counters {
    plan: Plan,
    sources: Sources,
    attributor: Arc<Attributor>,
    live: Live,
    at: Clocks,
    base: Baseline,
    within: Snapshot,
}

impl Windows {
    /// Begins with what was read before; `watch` is an open one, or why there is none.
    #[must_use]
    pub fn begin(
        watch: Result<Watch, String>,
        sources: &Sources,
        attributor: Attributor,
        live: Live,
        start: Survey,
    ) -> Self {
        let attributor = Arc::new(attributor);
        let by = match watch {
            Ok(mut watch) => {
                watch.attributor = attributor;
                watch.live = Some(live);
                By::Probes(Box::new(watch))
            }
            Err(why) => By::Counters(Box::new(Counters {
                plan: Plan::impossible(why),
                sources: sources.clone(),
                attributor,
                live,
                at: start.at,
                base: Baseline::new(Arc::clone(&start.counts), None),
                within: Snapshot::new(),
            })),
        };
        Self {
            by,
            start: Arc::new(start),
            pace: Pace::default(),
            observer: None,
        }
    }

    /// The window that is open, and it alone, is to tell why those who hold or suffer most do not read: from now on their threads and
    /// cgroups are looked at. For a window that has just begun.
    pub fn observe(&mut self) {
        let (sources, attributor) = match &self.by {
            By::Probes(watch) => (&watch.sources, &watch.attributor),
            By::Counters(counters) => (&counters.sources, &counters.attributor),
        };
        self.observer = Some(observer(sources, attributor, &self.start.scan));
    }

    /// When the window that is open began: with the reading that ended the one before it.
    #[must_use]
    pub fn since(&self) -> Instant {
        match &self.by {
            By::Probes(watch) => watch.base.at.monotonic,
            By::Counters(counters) => counters.at.monotonic,
        }
    }

    /// The window that is open ends with a listing of sockets, whatever the last one cost.
    pub const fn list_next(&mut self) {
        self.pace.hurry();
    }

    /// Takes what comes, and looks once a second, until a time. It may be given up at any moment: nothing is lost by that.
    ///
    /// # Errors
    /// When the kernel refuses to have a ring buffer polled.
    pub async fn wait(&mut self, until: Instant) -> anyhow::Result<()> {
        let end = tokio::time::sleep_until(until.into());
        tokio::pin!(end);
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is due at once, and the window has just begun.
        looks.tick().await;
        match &mut self.by {
            By::Probes(watch) => loop {
                tokio::select! {
                    () = &mut end => return Ok(()),
                    _ = looks.tick() => watch.look(),
                    events = watch.next() => watch.keep(events.context("cannot read evidence")?),
                }
            },
            By::Counters(counters) => loop {
                tokio::select! {
                    () = &mut end => return Ok(()),
                    _ = looks.tick() => counters.look(),
                }
            },
        }
    }

    /// Takes what comes until a time, and does not look: who ticks does. It may be given up at any moment.
    ///
    /// # Errors
    /// When the kernel refuses to have a ring buffer polled.
    pub async fn rest(&mut self, until: Instant) -> anyhow::Result<()> {
        let end = tokio::time::sleep_until(until.into());
        tokio::pin!(end);
        match &mut self.by {
            By::Probes(watch) => loop {
                tokio::select! {
                    () = &mut end => return Ok(()),
                    events = watch.next() => watch.keep(events.context("cannot read evidence")?),
                }
            },
            By::Counters(_) => {
                end.await;
                Ok(())
            }
        }
    }

    /// The cheapest look, for every second: it reads the programs' counts and the node's memory, and nothing of any namespace or socket. All
    /// that it tells is in the window that is open as well.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn tick(&mut self) -> anyhow::Result<Tick> {
        Ok(match &mut self.by {
            By::Probes(watch) => {
                watch.name();
                let (deltas, memory) = watch.tick().context("cannot read the counts")?;
                if let Some(observer) = &mut self.observer {
                    observer.look(&watch.named());
                }
                Tick {
                    deltas: Some(deltas),
                    memory,
                }
            }
            By::Counters(counters) => {
                if let Some(observer) = &mut self.observer {
                    observer.look(&[]);
                }
                Tick {
                    deltas: None,
                    memory: memory::read(&counters.sources.proc),
                }
            }
        })
    }

    /// Names as they are known now.
    #[must_use]
    pub fn attributor(&self) -> &Attributor {
        match &self.by {
            By::Probes(watch) => &watch.attributor,
            By::Counters(counters) => &counters.attributor,
        }
    }

    /// Entries in the programs' tables of owners and sockets; `None` when nothing is traced, or they cannot be read.
    #[must_use]
    pub fn entries(&self) -> Option<(u64, u64)> {
        let By::Probes(watch) = &self.by else {
            return None;
        };
        let sockets = watch.tracer.sockets().ok()?.len() as u64;
        Some((watch.ticked.len() as u64, sockets))
    }

    /// Ends the window that is open and begins the next one.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn turn(&mut self) -> anyhow::Result<Observation> {
        let start = Arc::clone(&self.start);
        let mut observation = match &mut self.by {
            By::Probes(watch) => {
                let before = watch.base.counts.tallies.clone().unwrap_or_default();
                let observation = watch.turn(start, &mut self.pace)?;
                let namespaces = observation.end.namespaces.iter();
                let namespaces = namespaces
                    .map(|(netns, cookie)| (netns.inum, *cookie))
                    .collect();
                watch.retire(&before, &namespaces);
                watch.retire_sockets();
                observation
            }
            By::Counters(counters) => counters.turn(start, &mut self.pace),
        };
        self.start = Arc::clone(&observation.end);
        // Without a listing nothing is known of their sockets: it goes on to the next one.
        if observation.was_listed()
            && let Some(observer) = self.observer.take()
        {
            observation.explain(observer);
        }
        Ok(observation)
    }
}

impl Counters {
    fn look(&mut self) {
        let readings = readings::read_all(&self.sources.proc).readings;
        let namespaces = readings.iter();
        let namespaces: Vec<_> = namespaces.map(|it| (it.netns.clone(), it.cookie)).collect();
        self.within.extend(snapshot(readings));
        let attributor = Arc::make_mut(&mut self.attributor);
        self.live.look_at(attributor, &namespaces, false);
    }

    fn turn(&mut self, start: Arc<Survey>, pace: &mut Pace) -> Observation {
        let readings::Readings { readings, gaps } = readings::read_all(&self.sources.proc);
        let at = Clocks::now();
        let namespaces = readings.iter();
        let namespaces = namespaces
            .map(|NetnsReading { netns, cookie, .. }| (netns.clone(), *cookie))
            .collect();
        let counts = Arc::new(snapshot(readings));
        let within = mem::take(&mut self.within);
        let (_, rows) = self.base.until(&within, &counts, None);
        self.base.advance(Arc::clone(&counts), None);
        let window = mem::replace(&mut self.at, at).until(at);
        let memory = TcpMemory {
            reserve_pages: start.memory.reserve_pages,
            ..memory::read(&self.sources.proc)
        };
        let end = Survey {
            at,
            memory,
            counts,
            scan: Arc::clone(&start.scan),
            namespaces,
            memcgs: None,
            gaps,
        };
        let told = |counters: &mut Self, mut end: Survey, effort| {
            let attributor = Arc::make_mut(&mut counters.attributor);
            let scanned = end.scan.gaps.iter().cloned();
            end.gaps.extend(scanned);
            end.memcgs = counters.sources.memory_events(attributor);
            let held = held::look(&counters.sources, attributor, &start, &end, effort);
            let ends = [Arc::clone(&start), Arc::new(end)];
            let attributor = Arc::clone(&counters.attributor);
            Observation::by_counters(counters.plan.clone(), window, rows, held, ends, attributor)
        };
        if !pace.is_due(Instant::now()) {
            return told(self, end, Effort::Nothing);
        }
        pace.measure(|| {
            let attributor = Arc::make_mut(&mut self.attributor);
            self.sources.refresh(attributor);
            self.live.look_at(attributor, &end.namespaces, true);
            let netns: Vec<_> = end.namespaces.iter().map(|it| it.0.clone()).collect();
            let proc = &self.sources.proc;
            let scan = held::list(proc, &netns, attributor, end.memory.alloc);
            held::forget(attributor, [&start.scan, &scan]);
            let scan = Arc::new(scan);
            told(self, Survey { scan, ..end }, Effort::Whole)
        })
    }
}
