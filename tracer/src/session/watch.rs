//! A traced window that is open: programs attached, baseline taken, evidence collected.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use aya::maps::MapError;
use bytes::Bytes;
use jiff::Timestamp;
use tracer_common::{EventRecord, Layout, Settings, SocketState, TimelineRecord, lost, selfcheck};

use super::{
    Clocks,
    baseline::Baseline,
    bracket::{PATIENT, bracket},
    explain::owners,
    largest,
    observation::nanos,
    peak::Climb,
    retire::Retiring,
    survey::snapshot,
};
use crate::{
    aggregate::{self, Delta, Tallies, steps::Steps},
    attribute::{Attributor, Live, Owner, Sources},
    decode::{self, DecodeError},
    indicators::{TcpMemory, memory, readings, rows::Snapshot},
    kernel::Plan,
    probe::{LoadError, Ring, Sizes, Tracer},
};

/// Records taken from a ring at once.
const BATCH: usize = 1024;
/// Records of evidence that are kept; the kernel programs hold back most of a storm already.
pub(super) const MAX_EVENTS: usize = 16 * 1024;
/// Changes of the node's state that are kept.
pub(super) const MAX_MOMENTS: usize = 4 * 1024;
/// Cells of the self-check.
pub(super) type Selfcheck = [u64; selfcheck::COUNT as usize];

/// A window that is open.
pub struct Watch {
    pub(super) tracer: Tracer,
    events: Ring,
    births: Ring,
    timeline: Ring,
    pub(super) base: Base,
    pub(super) taken: Taken,
    /// The tallies as of the last tick.
    pub(super) ticked: Tallies,
    pub(super) retiring: Retiring,
    pub(super) sources: Sources,
    /// Names, growing while the window is open; the caller gives those that it has read.
    pub attributor: Arc<Attributor>,
    /// What they grow from; the caller gives it with them.
    pub live: Option<Live>,
}

/// How everything stood when the window began.
pub(super) struct Base {
    pub(super) at: Clocks,
    pub(super) counts: Baseline,
    pub(super) state: State,
}

/// What the programs keep besides tallies, at one time.
pub(super) struct State {
    pub(super) sockets: HashMap<u64, SocketState>,
    pub(super) lost: [u64; lost::COUNT as usize],
    /// `None` where the kernel does not tell.
    pub(super) misses: Option<Vec<(String, u64)>>,
    /// `None` where no self-check is made.
    pub(super) selfcheck: Option<Selfcheck>,
}

/// What came since.
#[derive(Default)]
pub(super) struct Taken {
    /// The kernel's counters of each namespace as last read.
    pub(super) within: Snapshot,
    pub(super) kept: Vec<EventRecord>,
    pub(super) moments: Vec<TimelineRecord>,
    /// Numbers of orphans, each with the time from which on it was read.
    pub(super) orphans: Vec<(Timestamp, u64)>,
    /// The window in steps.
    pub(super) steps: Steps,
    /// A look at sockets while much memory is taken.
    pub(super) climb: Climb,
    pub(super) not_kept: u64,
    pub(super) refused: BTreeMap<String, u64>,
}

impl State {
    pub(super) fn read(tracer: &Tracer, selfcheck: bool) -> Result<Self, MapError> {
        Ok(Self {
            sockets: tracer.sockets()?.into_iter().collect(),
            lost: tracer.lost()?,
            misses: tracer.recursion_misses(),
            selfcheck: match selfcheck {
                true => Some(tracer.selfcheck()?),
                false => None,
            },
        })
    }
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
        let map = |error: MapError| LoadError::Impossible(error.to_string());
        let first = bracket(&tracer, &sources.proc, PATIENT).map_err(map)?;
        let counts = Arc::new(first.counts);
        let ticked = first.tallies.clone();
        let base = Base {
            counts: Baseline::new(counts, Some(first.tallies)),
            state: State::read(&tracer, settings.selfcheck != 0).map_err(map)?,
            at: Clocks::now(),
        };
        Ok(Self {
            tracer,
            events,
            births,
            timeline,
            base,
            taken: Taken::default(),
            ticked,
            retiring: Retiring::default(),
            sources,
            attributor: Arc::default(),
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
        self.taken.within.extend(snapshot(readings));
        if let Some(live) = &mut self.live {
            live.look_at(Arc::make_mut(&mut self.attributor), &namespaces, false);
        }
        self.drain_timeline();
        let memory = memory::read(&self.sources.proc);
        self.note_orphans(memory.orphan);
        // What is missed belongs to the next step, and at last to the end of the window.
        if let Ok(tallies) = self.tracer.tallies() {
            self.step(memory.sockstat_pages, &tallies);
        }
    }

    /// Notes what was refused since the last look.
    fn step(&mut self, sockstat_pages: Option<u64>, tallies: &Tallies) {
        if let Some(base) = &self.base.counts.tallies {
            let end_ns = nanos(self.base.at.monotonic.elapsed());
            let steps = &mut self.taken.steps;
            steps.look(end_ns, sockstat_pages, base, tallies);
        }
    }

    /// The cheapest look: what each key did since the last one, and the node's memory. It reads nothing of any namespace or socket.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub(super) fn tick(&mut self) -> Result<(Vec<Delta>, TcpMemory), MapError> {
        let tallies = self.tracer.tallies()?;
        let memory = memory::read(&self.sources.proc);
        self.step(memory.sockstat_pages, &tallies);
        self.drain_timeline();
        self.note_orphans(memory.orphan);
        let deltas = aggregate::deltas(&self.ticked, &tallies);
        self.ticked = tallies;
        Ok((deltas, memory))
    }

    /// Looks at sockets while much memory is taken, where nothing else does before the end of the window.
    pub fn climb(&mut self) {
        let memory = memory::read(&self.sources.proc);
        if let Some(peak) = self.taken.climb.look(&self.sources.proc, memory) {
            // Who holds them may be gone at the end.
            let attributor = Arc::make_mut(&mut self.attributor);
            let (sources, scan) = (&self.sources, &peak.scan);
            sources.find_processes(attributor, &scan.sockets);
            largest::look(sources, attributor, scan, false);
        }
    }

    /// Takes the names that have come, and asks for those that lack.
    pub fn name(&mut self) {
        if let Some(live) = &mut self.live {
            live.look(Arc::make_mut(&mut self.attributor));
        }
    }

    /// Notes how many orphans there are, if that has changed.
    pub(super) fn note_orphans(&mut self, orphans: Option<u64>) {
        let Some(orphans) = orphans else { return };
        let taken = &mut self.taken;
        let last = taken.orphans.last().map_or(0, |(_, last)| *last);
        if orphans == last {
            return;
        }
        if taken.orphans.len() < MAX_MOMENTS {
            taken.orphans.push((Timestamp::now(), orphans));
        } else {
            taken.not_kept += 1;
        }
    }

    /// Takes what the timeline holds; that a ring of its own was full is counted as a loss.
    pub(super) fn drain_timeline(&mut self) {
        let taken = &mut self.taken;
        for bytes in self.timeline.drain(usize::MAX) {
            match decode::timeline(&bytes) {
                Ok(_) if taken.moments.len() >= MAX_MOMENTS => taken.not_kept += 1,
                Ok(moment) => taken.moments.push(moment),
                Err(error) => taken.refuse(&error),
            }
        }
    }

    /// Owners that evidence has named so far.
    #[must_use]
    pub fn named(&self) -> Vec<Owner> {
        owners(
            self.taken.kept.iter().map(|event| &event.owner),
            &self.attributor,
        )
    }

    /// Keeps evidence for the report.
    pub fn keep(&mut self, events: Vec<EventRecord>) {
        let room = MAX_EVENTS - self.taken.kept.len();
        self.taken.not_kept += events.len().saturating_sub(room) as u64;
        self.taken.kept.extend(events.into_iter().take(room));
    }

    fn learn(&mut self, births: &[Bytes]) {
        if births.is_empty() {
            return;
        }
        let attributor = Arc::make_mut(&mut self.attributor);
        for bytes in births {
            match decode::birth(bytes) {
                Ok(birth) => {
                    // Ids of other hierarchies are numbers of their own; a pod that is born there is a pod all the same.
                    if birth.hierarchy == 0 {
                        attributor.cgroups.learn(birth.id, &birth.path);
                    }
                    if let Some(live) = &mut self.live {
                        live.born(&birth.path, attributor);
                    }
                }
                Err(error) => self.taken.refuse(&error),
            }
        }
    }

    fn decode(&mut self, records: &[Bytes]) -> Vec<EventRecord> {
        let mut events = Vec::with_capacity(records.len());
        for bytes in records {
            match decode::event(bytes) {
                Ok(event) => events.push(event),
                Err(error) => self.taken.refuse(&error),
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
        Ok(less(self.tracer.lost()?, &self.base.state.lost))
    }

    /// Evidence that was held back so far, because its owner had just sent some of the same kind.
    ///
    /// # Errors
    /// When the kernel refuses to have a map read.
    pub fn suppressed(&self) -> anyhow::Result<u64> {
        let now = self.tracer.read()?.tallies;
        let of =
            |tallies: &Tallies| -> u64 { tallies.values().map(|value| value.suppressed).sum() };
        let before = self.base.counts.tallies.as_ref().map_or(0, of);
        Ok(of(&now).saturating_sub(before))
    }
}

impl Taken {
    /// Counts a record that was not understood.
    fn refuse(&mut self, why: &DecodeError) {
        *self.refused.entry(why.to_string()).or_default() += 1;
    }
}

/// How far cells have risen.
pub(super) fn less<const N: usize>(mut now: [u64; N], before: &[u64; N]) -> [u64; N] {
    for (now, before) in now.iter_mut().zip(before) {
        *now = now.saturating_sub(*before);
    }
    now
}
