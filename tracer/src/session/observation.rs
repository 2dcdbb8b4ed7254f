//! Everything of one window, as plain data, and the report of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tracer_common::{EventRecord, SocketState, TallyKey, TimelineRecord, lost, selfcheck};

use super::{
    Peak, Survey,
    held::{self, Effort, Held, sockets_of},
};
use crate::{
    aggregate::{Delta, Group, group, steps::Step},
    attribute::{Attributor, Owner, Sources},
    capture::Capture,
    holders::{Socket, socket::Ends},
    indicators::{Row, memcg::Pressed, netns::Netns, rows},
    kernel::Plan,
    report::{self, AtRest, Context, Inputs, Node, Report, Window, plan::Maps},
};

/// Everything of a window, traced or not, that a report is made of.
pub struct Observation {
    /// What this kernel allowed.
    pub plan: Plan,
    /// Whether kernel programs counted.
    pub traced: bool,
    /// The time that counts cover.
    pub window: Window,
    /// Counts per key.
    pub deltas: Vec<Delta>,
    /// Ours against the kernel's.
    pub rows: Vec<Row>,
    /// What the programs lost.
    pub losses: [u64; lost::COUNT as usize],
    /// Results of the self-check, by [`tracer_common::selfcheck`]; `None` when none was made.
    pub selfcheck: Option<[u64; selfcheck::COUNT as usize]>,
    /// Skipped runs of each of our programs; `None` where the kernel does not tell.
    pub recursion_misses: Option<Vec<(String, u64)>>,
    /// Most events that may be missing from a count for that.
    pub possible_misses: Option<u64>,
    /// Per socket.
    pub sockets: Vec<(u64, SocketState)>,
    /// Sampled failures.
    pub events: Vec<EventRecord>,
    /// Changes of the node's state, as they came.
    pub timeline: Vec<TimelineRecord>,
    /// Numbers of orphans, each with the time from which on it was read.
    pub orphans: Vec<(Timestamp, u64)>,
    /// The window in steps, as it was looked at within it.
    pub steps: Vec<Step>,
    /// Memory cgroups to which something happened; `None` where that cannot be read.
    pub memcgs: Option<Vec<Pressed>>,
    /// Why owners do not read, of those that hold or suffer most.
    pub contexts: BTreeMap<Group, Context>,
    /// `sock` of `memory.stat` of the cgroups of holders, in bytes, at the end.
    pub memory_stats: BTreeMap<Group, u64>,
    /// The maps in the kernel; `None` when nothing was loaded.
    pub maps: Option<Maps>,
    /// In words: what could not be read.
    pub gaps: Vec<String>,
    /// At the start.
    pub start: Arc<Survey>,
    /// When most TCP memory was taken in between, where the node came under pressure.
    pub peak: Option<Peak>,
    /// At the end.
    pub end: Arc<Survey>,
    /// Names.
    pub attributor: Arc<Attributor>,
}

impl Observation {
    /// A window without kernel programs, or a snapshot when both surveys are the same.
    #[must_use]
    pub fn untraced(
        plan: Plan,
        sources: &Sources,
        mut attributor: Attributor,
        start: Survey,
        mut end: Survey,
    ) -> Self {
        let effort = match Arc::ptr_eq(&start.scan, &end.scan) {
            true => Effort::Quick,
            false => Effort::Whole,
        };
        end.memcgs = sources.memory_events(&attributor);
        let held = held::look(sources, &mut attributor, &start, &end, effort);
        let rows = rows::rows(
            rows::Readings {
                start: &start.counts,
                within: &rows::Snapshot::new(),
                end: &end.counts,
            },
            None,
        );
        let window = start.at.until(end.at);
        let ends = [start, end].map(Arc::new);
        Self::by_counters(plan, window, rows, held, ends, Arc::new(attributor))
    }

    /// The same of what has been read.
    pub(super) fn by_counters(
        plan: Plan,
        window: Window,
        rows: Vec<Row>,
        held: Held,
        [start, end]: [Arc<Survey>; 2],
        attributor: Arc<Attributor>,
    ) -> Self {
        let mut gaps: Vec<String> = start.gaps.iter().chain(&end.gaps).cloned().collect();
        gaps.extend(attributor.gaps());
        gaps.extend(window.clock_set_words());
        gaps.sort();
        gaps.dedup();
        Self {
            plan,
            traced: false,
            window,
            deltas: Vec::new(),
            rows,
            losses: [0; lost::COUNT as usize],
            selfcheck: None,
            recursion_misses: None,
            possible_misses: None,
            sockets: Vec::new(),
            events: Vec::new(),
            timeline: Vec::new(),
            orphans: Vec::new(),
            steps: Vec::new(),
            memcgs: held.memcgs,
            contexts: BTreeMap::new(),
            memory_stats: held.memory_stats,
            maps: None,
            gaps,
            start,
            peak: None,
            end,
            attributor,
        }
    }

    /// The report of it, with so many owners in each list.
    #[must_use]
    pub fn report(&self, node: &Node, top: usize) -> Report {
        self.with_inputs(node, top, report::build)
    }

    /// All that the report is made from, and the report.
    #[must_use]
    pub fn capture_with_report(&self, node: &Node, top: usize) -> (Capture, Report) {
        self.with_inputs(node, top, Capture::with_report)
    }

    /// All that the report is made from.
    #[must_use]
    pub fn capture(&self, node: &Node, top: usize) -> Capture {
        self.with_inputs(node, top, Capture::of)
    }

    fn with_inputs<T>(&self, node: &Node, top: usize, of: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let known = self.owners_by_socket();
        let owner_of_key = |key: &TallyKey| match known.get(key) {
            Some(owner) => owner.clone(),
            None => self.attributor.owner_of(key),
        };
        let owner_of_socket = |socket: &Socket| self.attributor.owner_of_socket(socket);
        of(&Inputs {
            version: env!("CARGO_PKG_VERSION"),
            window: self.window,
            node,
            plan: &self.plan,
            traced: self.traced,
            deltas: &self.deltas,
            owner_of_key: &owner_of_key,
            owner_of_socket: &owner_of_socket,
            descriptor_of_socket: &|socket| self.attributor.processes.descriptor(socket.inode),
            memory_stats: &self.memory_stats,
            // A snapshot is one look, which knows no growth.
            scan_start: match self.has_one_scan() {
                true => None,
                false => self.start.scan.seen(),
            },
            peak: self.peak.as_ref().map(|it| (&it.scan, &it.memory)),
            scan_end: self.end.scan.seen(),
            memory_start: &self.start.memory,
            memory_end: &self.end.memory,
            rows: &self.rows,
            at_rest: AtRest::default(),
            netns_owners: &self.residents(),
            losses: self.losses,
            selfcheck: self.selfcheck,
            recursion_misses: self.recursion_misses.as_deref(),
            possible_misses: self.possible_misses,
            top,
            runtimes: &self.attributor.cri.runtimes,
            gaps: &self.gaps,
            damage: None,
            socket_states: &self.sockets,
            events: &self.events,
            timeline: &self.timeline,
            orphans: &self.orphans,
            steps: &self.steps,
            memcgs: self.memcgs.as_deref(),
            contexts: &self.contexts,
            maps: self.maps,
            wall_clock: &wall_clock(),
        })
    }

    /// Whether sockets were listed at its end, and not only before it.
    #[must_use]
    pub fn was_listed(&self) -> bool {
        !self.has_one_scan()
    }

    /// Whether sockets were listed once only, as for a snapshot, and in a row of windows that follow each other fast.
    pub(super) fn has_one_scan(&self) -> bool {
        Arc::ptr_eq(&self.start.scan, &self.end.scan)
    }

    /// The pods that live in network namespaces, whether they have sockets or not.
    fn residents(&self) -> BTreeMap<u32, BTreeSet<Owner>> {
        let namespaces = self.start.namespaces.iter().chain(&self.end.namespaces);
        let resident = |(netns, cookie): &(Netns, Option<u64>)| {
            let owner = self.attributor.resident(netns.inum, *cookie)?;
            Some((netns.inum, BTreeSet::from([owner])))
        };
        namespaces.filter_map(resident).collect()
    }

    /// Owners of keys whose ids tell nothing, as on hosts with cgroup v1, by the sockets of them that a scan found: by cookie, or,
    /// where the kernel had given them none when they were seen, by their ends. Only where every socket of a key was found and all
    /// are of one owner: to name one of several would accuse the innocent.
    pub(super) fn owners_by_socket(&self) -> HashMap<TallyKey, Owner> {
        let ends_of = |state: &SocketState| Socket::ends_of(state.owner.netns_inum, &state.tuple);
        let states = || self.sockets.iter();
        // Of very many scanned sockets only these few are looked for.
        let cookies: HashSet<u64> = states().map(|(cookie, _)| *cookie).collect();
        let ends: HashSet<Ends> = states().filter_map(|(_, state)| ends_of(state)).collect();
        let scanned = || sockets_of(&self.start, &self.end);
        let by_cookie: HashMap<u64, &Socket> = scanned()
            .filter(|socket| socket.cookie != 0 && cookies.contains(&socket.cookie))
            .map(|socket| (socket.cookie, socket))
            .collect();
        let by_ends: HashMap<Ends, &Socket> = scanned()
            .map(|socket| (socket.ends(), socket))
            .filter(|(of, _)| ends.contains(of))
            .collect();
        let mut owners: HashMap<TallyKey, Option<BTreeSet<Owner>>> = HashMap::new();
        for (cookie, state) in states() {
            let by_ends = || ends_of(state).and_then(|ends| by_ends.get(&ends));
            let socket = by_cookie.get(cookie).or_else(by_ends);
            let key = state.owner;
            let all = owners.entry(key).or_insert_with(|| Some(BTreeSet::new()));
            match socket {
                Some(socket) => {
                    let owner = self.attributor.owner_of_with(&key, socket);
                    if let Some(all) = all {
                        all.insert(owner);
                    }
                }
                None => *all = None,
            }
        }
        let only = |(key, owners): (TallyKey, Option<BTreeSet<Owner>>)| {
            let owners = owners?;
            let groups: BTreeSet<Group> = owners.iter().map(Group::of).collect();
            (groups.len() == 1).then(|| (key, group::representative(&owners)))
        };
        owners.into_iter().filter_map(only).collect()
    }
}

/// A time in nanoseconds.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The wall clock of a moment of `CLOCK_MONOTONIC`, by the two clocks as they stand now.
pub fn wall_clock() -> impl Fn(u64) -> Timestamp {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours; this clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let monotonic = SignedDuration::new(now.tv_sec, now.tv_nsec as i32);
    let wall = Timestamp::now();
    move |at_ns| {
        let at = SignedDuration::from_nanos(i64::try_from(at_ns).unwrap_or(i64::MAX));
        wall.checked_sub(monotonic.saturating_sub(at))
            .unwrap_or(wall)
    }
}
