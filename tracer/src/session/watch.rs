//! A traced window: programs attached, baseline taken, evidence collected, final reading.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Instant,
};

use anyhow::Context as _;
use bytes::Bytes;
use jiff::Timestamp;
use tracer_common::{EventRecord, Layout, Settings, SocketState, TimelineRecord, lost, selfcheck};

use super::{
    Bracket, Observation, Survey, bracket,
    explain::owners,
    largest,
    peak::Climb,
    pressed::pressed,
    survey,
    survey::{snapshot, sockets_of},
};
use crate::{
    aggregate,
    attribute::{Attributor, Live, Owner, Sources},
    decode,
    holders::{Detail, Progress},
    indicators::{
        memory, readings,
        rows::{self, Snapshot},
    },
    kernel::Plan,
    probe::{LoadError, Ring, Sizes, Tracer},
    report::Window,
};

/// Records taken from a ring at once.
const BATCH: usize = 1024;
/// Records of evidence that are kept; the kernel programs hold back most of a storm already.
const MAX_EVENTS: usize = 16 * 1024;
/// Changes of the node's state that are kept.
const MAX_MOMENTS: usize = 4 * 1024;
/// Cells of the self-check.
type Selfcheck = [u64; selfcheck::COUNT as usize];

/// A window that is open.
pub struct Watch {
    tracer: Tracer,
    events: Ring,
    births: Ring,
    timeline: Ring,
    started: Instant,
    started_at: Timestamp,
    base: Bracket,
    /// The kernel's counters of each namespace as last read since.
    within: Snapshot,
    base_sockets: HashMap<u64, SocketState>,
    base_lost: [u64; lost::COUNT as usize],
    base_misses: Option<Vec<(String, u64)>>,
    /// The self-check as it stood at the baseline, where one is made.
    base_selfcheck: Option<Selfcheck>,
    kept: Vec<EventRecord>,
    moments: Vec<TimelineRecord>,
    /// Numbers of orphans, each with the time from which on it was read.
    orphans: Vec<(Timestamp, u64)>,
    /// A look at sockets while much memory is taken.
    climb: Climb,
    not_kept: u64,
    refused: BTreeMap<String, u64>,
    sources: Sources,
    /// Names, growing while the window is open; the caller gives those that it has read.
    pub attributor: Attributor,
    /// What they grow from; the caller gives it with them.
    pub live: Option<Live>,
}

impl Watch {
    /// Attaches the programs and takes the baseline.
    ///
    /// # Errors
    /// When nothing can be traced on this kernel.
    pub fn open(
        plan: Plan,
        layout: &Layout,
        settings: &Settings,
        sizes: &Sizes,
        btf: &Path,
        sources: Sources,
    ) -> Result<Self, LoadError> {
        let mut tracer = Tracer::load(plan, layout, settings, sizes, btf)?;
        let refuse = |error: anyhow::Error| LoadError::Impossible(format!("{error:#}"));
        let events = tracer.events().map_err(refuse)?;
        let births = tracer.births().map_err(refuse)?;
        let timeline = tracer.timeline().map_err(refuse)?;
        let map = |error: aya::maps::MapError| LoadError::Impossible(error.to_string());
        let base = bracket(&tracer, &sources.proc).map_err(map)?;
        Ok(Self {
            base_sockets: tracer.sockets().map_err(map)?.into_iter().collect(),
            base_lost: tracer.lost().map_err(map)?,
            base_misses: tracer.recursion_misses(),
            base_selfcheck: match settings.selfcheck {
                0 => None,
                _ => Some(tracer.selfcheck().map_err(map)?),
            },
            tracer,
            events,
            births,
            timeline,
            started: Instant::now(),
            started_at: Timestamp::now(),
            base,
            within: Snapshot::new(),
            kept: Vec::new(),
            moments: Vec::new(),
            orphans: Vec::new(),
            climb: Climb::default(),
            not_kept: 0,
            refused: BTreeMap::new(),
            sources,
            attributor: Attributor::default(),
            live: None,
        })
    }

    /// How many probes are attached.
    #[must_use]
    pub fn probes(&self) -> usize {
        self.tracer
            .plan
            .probes
            .iter()
            .filter(|probe| probe.missing.is_none())
            .count()
    }

    /// Waits for evidence; births of cgroups are learnt on the way.
    ///
    /// # Errors
    /// When the kernel refuses to have a ring buffer polled.
    pub async fn next(&mut self) -> std::io::Result<Vec<EventRecord>> {
        loop {
            tokio::select! {
                births = self.births.next(BATCH) => {
                    let births = births?;
                    self.learn(&births);
                }
                records = self.events.next(BATCH) => {
                    let records = records?;
                    // A cgroup is born before its sockets suffer.
                    let births = self.births.drain(BATCH);
                    self.learn(&births);
                    return Ok(self.decode(&records));
                }
            }
        }
    }

    /// Reads the kernel's counters, so that of a namespace that dies within the window the last reading is known.
    pub fn look(&mut self) {
        let readings = readings::read_all(&self.sources.proc).readings;
        let namespaces = readings.iter();
        let namespaces: Vec<_> = namespaces.map(|it| (it.netns.clone(), it.cookie)).collect();
        self.within.extend(snapshot(readings));
        if let Some(live) = &mut self.live {
            live.look_at(&mut self.attributor, &namespaces, false);
        }
        self.drain_timeline();
        let memory = memory::read(&self.sources.proc);
        self.note_orphans(memory.orphan);
        if let Some(peak) = self.climb.look(&self.sources.proc, memory) {
            // Who holds them may be gone at the end.
            self.sources
                .find_processes(&mut self.attributor, &peak.scan.sockets);
            largest::look(&self.sources, &mut self.attributor, &peak.scan, false);
        }
    }

    /// Takes the names that have come, and asks for those that lack.
    pub fn name(&mut self) {
        if let Some(live) = &mut self.live {
            live.look(&mut self.attributor);
        }
    }

    /// Notes how many orphans there are, if that has changed.
    fn note_orphans(&mut self, orphans: Option<u64>) {
        let Some(orphans) = orphans else { return };
        let last = self.orphans.last().map_or(0, |(_, last)| *last);
        if orphans == last {
            return;
        }
        if self.orphans.len() < MAX_MOMENTS {
            self.orphans.push((Timestamp::now(), orphans));
        } else {
            self.not_kept += 1;
        }
    }

    /// Takes what the timeline holds; that a ring of its own was full is counted as a loss.
    fn drain_timeline(&mut self) {
        for bytes in self.timeline.drain(usize::MAX) {
            match decode::timeline(&bytes) {
                Ok(_) if self.moments.len() >= MAX_MOMENTS => self.not_kept += 1,
                Ok(moment) => self.moments.push(moment),
                Err(error) => *self.refused.entry(error.to_string()).or_default() += 1,
            }
        }
    }

    /// Owners that evidence has named so far.
    #[must_use]
    pub fn named(&self) -> Vec<Owner> {
        owners(self.kept.iter().map(|event| &event.owner), &self.attributor)
    }

    /// Keeps evidence for the report.
    pub fn keep(&mut self, events: Vec<EventRecord>) {
        let room = MAX_EVENTS - self.kept.len();
        self.not_kept += events.len().saturating_sub(room) as u64;
        self.kept.extend(events.into_iter().take(room));
    }

    fn learn(&mut self, births: &[Bytes]) {
        for bytes in births {
            match decode::birth(bytes) {
                Ok(birth) => {
                    // Ids of other hierarchies are numbers of their own; a pod that is born there is a pod all the same.
                    if birth.hierarchy == 0 {
                        self.attributor.cgroups.learn(birth.id, &birth.path);
                    }
                    if let Some(live) = &mut self.live {
                        live.born(&birth.path, &self.attributor);
                    }
                }
                Err(error) => *self.refused.entry(error.to_string()).or_default() += 1,
            }
        }
    }

    fn decode(&mut self, records: &[Bytes]) -> Vec<EventRecord> {
        let mut events = Vec::with_capacity(records.len());
        for bytes in records {
            match decode::event(bytes) {
                Ok(event) => events.push(event),
                Err(error) => *self.refused.entry(error.to_string()).or_default() += 1,
            }
        }
        events
    }

    /// Evidence that is there and was not waited for.
    pub fn drain(&mut self) -> Vec<EventRecord> {
        let births = self.births.drain(usize::MAX);
        self.learn(&births);
        let records = self.events.drain(usize::MAX);
        self.decode(&records)
    }

    /// What the programs lost so far, and could not be read.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn losses(&self) -> anyhow::Result<[u64; lost::COUNT as usize]> {
        let mut losses = self.tracer.lost()?;
        for (now, base) in losses.iter_mut().zip(self.base_lost) {
            *now = now.saturating_sub(base);
        }
        Ok(losses)
    }

    /// Evidence that was held back so far, because its owner had just sent some of the same kind.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn suppressed(&self) -> anyhow::Result<u64> {
        let now = self.tracer.read()?.tallies;
        let of = |tallies: &aggregate::Tallies| -> u64 {
            tallies.values().map(|value| value.suppressed).sum()
        };
        Ok(of(&now).saturating_sub(of(&self.base.tallies)))
    }

    /// Takes the final reading and closes the window.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn close(mut self, start: Survey, progress: &Progress<'_>) -> anyhow::Result<Observation> {
        let last = bracket(&self.tracer, &self.sources.proc).context("cannot read the counts")?;
        let duration = self.started.elapsed();
        let end_at = Timestamp::now();
        let left = self.drain();
        self.keep(left);
        // The answer comes while everything else is read.
        self.name();
        self.drain_timeline();
        let losses = self.losses()?;
        let selfcheck = match self.base_selfcheck {
            None => None,
            Some(base) => {
                let mut cells = self.tracer.selfcheck()?;
                for (now, base) in cells.iter_mut().zip(base) {
                    *now = now.saturating_sub(base);
                }
                Some(cells)
            }
        };
        let recursion_misses = self.misses();
        let sockets = aggregate::sockets::since(&self.base_sockets, self.tracer.sockets()?);
        let mut end = survey(&self.sources.proc, Detail::Each, progress);
        end.counts = last.counts;
        self.note_orphans(end.memory.orphan);
        self.sources.refresh(&mut self.attributor);
        if let Some(live) = &mut self.live {
            live.look_at(&mut self.attributor, &end.namespaces, true);
            live.settle(&mut self.attributor);
        }
        self.sources
            .find_processes(&mut self.attributor, sockets_of(&start, &end));
        let memory_stats = largest::look(&self.sources, &mut self.attributor, &end.scan, false);
        let memcgs = pressed(
            &self.sources,
            &self.attributor,
            start.memcgs.as_ref(),
            &end.scan,
        );
        let deltas = aggregate::deltas(&self.base.tallies, &last.tallies);
        let readings = rows::Readings {
            start: &self.base.counts,
            within: &self.within,
            end: &end.counts,
        };
        let rows = rows::rows(readings, Some(&deltas));
        let mut gaps = start.gaps.clone();
        gaps.extend(last.gaps);
        gaps.extend(end.gaps.iter().cloned());
        gaps.extend(self.attributor.gaps());
        let keys = deltas.iter().map(|delta| &delta.key);
        gaps.extend(self.attributor.nameless(keys));
        gaps.extend(
            self.refused
                .iter()
                .map(|(why, count)| format!("{count} times: {why}")),
        );
        if self.not_kept > 0 {
            gaps.push(format!(
                "{} records were not kept: more than {MAX_EVENTS} of evidence or {MAX_MOMENTS} of the timeline came",
                self.not_kept
            ));
        }
        gaps.sort();
        gaps.dedup();
        Ok(Observation {
            plan: self.tracer.plan.clone(),
            traced: true,
            window: Window {
                start: self.started_at,
                end: end_at,
                duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            },
            deltas,
            rows,
            losses,
            selfcheck,
            possible_misses: recursion_misses
                .as_deref()
                .map(|misses| self.tracer.plan.possible_misses(misses)),
            recursion_misses,
            sockets,
            events: self.kept,
            timeline: self.moments,
            orphans: self.orphans,
            memcgs,
            contexts: BTreeMap::new(),
            memory_stats,
            maps: Some(self.tracer.maps()),
            gaps,
            start,
            peak: self.climb.peak,
            end,
            attributor: self.attributor,
        })
    }

    /// Skipped runs of each program within the window.
    fn misses(&self) -> Option<Vec<(String, u64)>> {
        let mut misses = self.tracer.recursion_misses()?;
        for (program, misses) in &mut misses {
            let base = self.base_misses.iter().flatten();
            let base = base
                .filter(|(name, _)| name == program)
                .map(|(_, base)| base);
            *misses = misses.saturating_sub(base.sum());
        }
        Some(misses)
    }
}
