//! Everything of one window, as plain data, and the report of it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tracer_common::{EventRecord, SocketState, TallyKey, lost, selfcheck};

use super::{Survey, survey::sockets_of};
use crate::{
    aggregate::Delta,
    attribute::{Attributor, Sources},
    holders::Socket,
    indicators::{Row, rows},
    kernel::Plan,
    report::{self, Inputs, Node, Report, Window},
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
    /// In words: what could not be read.
    pub gaps: Vec<String>,
    /// At the start.
    pub start: Survey,
    /// At the end.
    pub end: Survey,
    /// Names.
    pub attributor: Attributor,
}

impl Observation {
    /// A window without kernel programs, or a snapshot when both surveys are the same.
    #[must_use]
    pub fn untraced(
        plan: Plan,
        sources: &Sources,
        mut attributor: Attributor,
        start: Survey,
        end: Survey,
        duration: Duration,
    ) -> Self {
        let all = sockets_of(&start, &end);
        sources.find_processes(&mut attributor, &all);
        let mut gaps: Vec<String> = start.gaps.iter().chain(&end.gaps).cloned().collect();
        gaps.extend(attributor.gaps());
        gaps.sort();
        gaps.dedup();
        Self {
            plan,
            traced: false,
            window: Window {
                start: start.at,
                end: end.at,
                duration_ns: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            },
            deltas: Vec::new(),
            rows: rows::rows(
                rows::Readings {
                    start: &start.counts,
                    within: &rows::Snapshot::new(),
                    end: &end.counts,
                },
                None,
            ),
            losses: [0; lost::COUNT as usize],
            selfcheck: None,
            recursion_misses: None,
            possible_misses: None,
            sockets: Vec::new(),
            events: Vec::new(),
            gaps,
            start,
            end,
            attributor,
        }
    }

    /// The report of it.
    #[must_use]
    pub fn report(&self, node: &Node) -> Report {
        let known = self.known_sockets();
        let owner_of_key = |key: &TallyKey| match known.get(key) {
            Some(socket) => self.attributor.owner_of_with(key, socket),
            None => self.attributor.owner_of(key),
        };
        let owner_of_socket = |socket: &Socket| self.attributor.owner_of_socket(socket);
        report::build(&Inputs {
            version: env!("CARGO_PKG_VERSION"),
            window: self.window,
            node,
            plan: &self.plan,
            traced: self.traced,
            deltas: &self.deltas,
            owner_of_key: &owner_of_key,
            owner_of_socket: &owner_of_socket,
            scan_start: self.start.scan.seen(),
            scan_end: self.end.scan.seen(),
            memory_start: &self.start.memory,
            memory_end: &self.end.memory,
            rows: &self.rows,
            netns_owners: &BTreeMap::new(),
            losses: self.losses,
            selfcheck: self.selfcheck,
            recursion_misses: self.recursion_misses.as_deref(),
            possible_misses: self.possible_misses,
            gaps: &self.gaps,
            socket_states: &self.sockets,
            events: &self.events,
            wall_clock: &wall_clock(),
        })
    }

    /// One socket of each key of which a scan found one: it helps where the ids of the key tell nothing.
    fn known_sockets(&self) -> HashMap<TallyKey, &Socket> {
        let scanned: HashMap<u64, &Socket> = self
            .start
            .scan
            .sockets
            .iter()
            .chain(&self.end.scan.sockets)
            .map(|socket| (socket.cookie, socket))
            .collect();
        self.sockets
            .iter()
            .filter_map(|(cookie, state)| Some((state.owner, *scanned.get(cookie)?)))
            .collect()
    }
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
