//! The end of a traced window: the last reading, and what happened since the first.

use std::{collections::BTreeMap, mem, sync::Arc, time::Instant};

use anyhow::Context as _;

use super::{
    Clocks, Observation, Survey, Watch,
    bracket::{BRIEF, PATIENT, bracket},
    held::{self, Effort},
    pace::Pace,
    watch::{MAX_EVENTS, MAX_MOMENTS, State, Taken, less},
};
use crate::{
    aggregate::{self, Delta},
    holders::{self, Detail, Progress, Scan},
    indicators::{Row, TcpMemory, memory, netns::Netns, rows::Snapshot},
    report::Window,
};

/// What happened within a window, as far as the programs and the kernel's counters tell, and how things stood at its end.
struct Happened {
    window: Window,
    /// When it ended.
    at: Clocks,
    deltas: Vec<Delta>,
    rows: Vec<Row>,
    taken: Taken,
    /// What the programs kept beside tallies within the window.
    state: State,
    memory: TcpMemory,
    counts: Arc<Snapshot>,
    namespaces: Vec<(Netns, Option<u64>)>,
    gaps: Vec<String>,
}

impl Watch {
    /// Takes the last reading and closes the window. Names that are still asked for are waited for.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn close(mut self, start: Survey, progress: &Progress<'_>) -> anyhow::Result<Observation> {
        let happened = self.end(PATIENT)?;
        let proc = &self.sources.proc;
        let scan = holders::scan_namespaces(proc, &happened.netns(), Detail::Each, progress);
        let attributor = Arc::make_mut(&mut self.attributor);
        self.sources.refresh(attributor);
        if let Some(live) = &mut self.live {
            live.look_at(attributor, &happened.namespaces, true);
            live.settle(attributor);
        }
        Ok(self.tell(happened, Arc::new(start), Arc::new(scan), Effort::Whole))
    }

    /// Ends the window and begins the next one with the same reading, so that every count is in one of them. Nobody is waited for:
    /// a name that comes late is that of the windows to come. Sockets are listed again where the pace lets them; if not, those of
    /// the start stand for the end as well. `start` is the [`Observation::end`] of the window before.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn turn(&mut self, start: Arc<Survey>, pace: &mut Pace) -> anyhow::Result<Observation> {
        let happened = self.end(BRIEF)?;
        if !pace.is_due(Instant::now()) {
            let scan = Arc::clone(&start.scan);
            return Ok(self.tell(happened, start, scan, Effort::Nothing));
        }
        Ok(pace.measure(|| {
            let attributor = Arc::make_mut(&mut self.attributor);
            self.sources.refresh(attributor);
            if let Some(live) = &mut self.live {
                live.look_at(attributor, &happened.namespaces, true);
            }
            let (proc, allocated) = (&self.sources.proc, happened.memory.alloc);
            let scan = held::list(proc, &happened.netns(), attributor, allocated);
            held::forget(attributor, [&start.scan, &scan]);
            self.tell(happened, start, Arc::new(scan), Effort::Whole)
        }))
    }

    /// The last reading of the window that is open; it is the first one of the next.
    fn end(&mut self, attempts: u32) -> anyhow::Result<Happened> {
        let last = bracket(&self.tracer, &self.sources.proc, attempts)
            .context("cannot read the counts")?;
        let at = Clocks::now();
        let left = self.drain();
        self.keep(left);
        // The answer comes while everything else is read.
        self.name();
        self.drain_timeline();
        let selfcheck = self.base.state.selfcheck.is_some();
        let state = State::read(&self.tracer, selfcheck).context("cannot read the counts")?;
        let memory = memory::read(&self.sources.proc);
        self.note_orphans(memory.orphan);
        let (base, taken) = (&mut self.base, mem::take(&mut self.taken));
        let tallies = Some(&last.tallies);
        let (deltas, rows) = base.counts.until(&taken.within, &last.counts, tallies);
        let counts = Arc::new(last.counts);
        base.counts.advance(Arc::clone(&counts), Some(last.tallies));
        let window = mem::replace(&mut base.at, at).until(at);
        let within = state.since(&base.state);
        base.state = state;
        Ok(Happened {
            window,
            at,
            deltas,
            rows,
            taken,
            state: within,
            memory,
            counts,
            namespaces: last.namespaces,
            gaps: last.gaps,
        })
    }

    /// All of a window, with the sockets at its end.
    fn tell(
        &mut self,
        happened: Happened,
        start: Arc<Survey>,
        scan: Arc<Scan>,
        effort: Effort,
    ) -> Observation {
        let Happened {
            window,
            at,
            deltas,
            rows,
            taken,
            state,
            memory,
            counts,
            namespaces,
            mut gaps,
        } = happened;
        let attributor = Arc::make_mut(&mut self.attributor);
        gaps.extend(scan.gaps.iter().cloned());
        let end = Survey {
            at,
            memory: TcpMemory {
                reserve_pages: start.memory.reserve_pages,
                ..memory
            },
            counts,
            scan,
            namespaces,
            memcgs: self.sources.memory_events(attributor),
            gaps,
        };
        let held = held::look(&self.sources, attributor, &start, &end, effort);
        let mut gaps = [&start.gaps[..], &end.gaps].concat();
        gaps.extend(attributor.gaps());
        gaps.extend(attributor.nameless(deltas.iter().map(|delta| &delta.key)));
        gaps.extend(taken.gaps());
        gaps.extend(window.clock_set_words());
        gaps.sort();
        gaps.dedup();
        let misses = state.misses;
        Observation {
            plan: self.tracer.plan.clone(),
            traced: true,
            window,
            deltas,
            rows,
            losses: state.lost,
            selfcheck: state.selfcheck,
            possible_misses: misses
                .as_deref()
                .map(|misses| self.tracer.plan.possible_misses(misses)),
            recursion_misses: misses,
            sockets: state.sockets.into_iter().collect(),
            events: taken.kept,
            timeline: taken.moments,
            orphans: taken.orphans,
            steps: taken.steps.done(),
            memcgs: held.memcgs,
            contexts: BTreeMap::new(),
            memory_stats: held.memory_stats,
            maps: Some(self.tracer.maps()),
            gaps,
            start,
            peak: taken.climb.peak,
            end: Arc::new(end),
            attributor: Arc::clone(&self.attributor),
        }
    }
}

impl Happened {
    fn netns(&self) -> Vec<Netns> {
        let namespaces = self.namespaces.iter();
        namespaces.map(|(netns, _)| netns.clone()).collect()
    }
}

impl State {
    /// What happened since an earlier one; of sockets those to which something happened.
    fn since(&self, before: &Self) -> Self {
        let now = self.sockets.iter().map(|(&key, &state)| (key, state));
        let mut misses = self.misses.clone();
        for (program, misses) in misses.iter_mut().flatten() {
            let base = before.misses.iter().flatten();
            let base = base
                .filter(|(name, _)| name == program)
                .map(|(_, base)| base);
            *misses = misses.saturating_sub(base.sum());
        }
        let selfcheck = self.selfcheck.zip(before.selfcheck);
        Self {
            sockets: aggregate::sockets::since(&before.sockets, now.collect())
                .into_iter()
                .collect(),
            lost: less(self.lost, &before.lost),
            misses,
            selfcheck: selfcheck.map(|(now, before)| less(now, &before)),
        }
    }
}

impl Taken {
    /// In words: records that were not understood, or found no room.
    fn gaps(&self) -> Vec<String> {
        let refused = self.refused.iter();
        let mut gaps: Vec<String> = refused
            .map(|(why, count)| format!("{count} times: {why}"))
            .collect();
        if self.not_kept > 0 {
            gaps.push(format!(
                "{} records were not kept: more than {MAX_EVENTS} of evidence or {MAX_MOMENTS} of the timeline came",
                self.not_kept
            ));
        }
        gaps
    }
}
