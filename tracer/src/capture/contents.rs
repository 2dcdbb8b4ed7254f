//! A capture in memory: made from the inputs of a report, and inputs again.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use jiff::{SignedDuration, Timestamp};
use tracer_common::{ABI_VERSION, EventRecord, SocketState, TallyKey, TimelineRecord};

use super::{
    left_out::{LeftOut, Rest},
    record::{Header, Moment, SCHEMA},
};
use crate::{
    aggregate::{Delta, Group, steps::Step},
    attribute::{Descriptor, Owner, OwnerKind},
    holders::{Scan, Socket},
    indicators::{Row, memcg::Pressed},
    report::{self, Context, Inputs, Report},
};

/// What the owner of a socket depends on: its cgroup, its inode and its network namespace.
pub(super) type Kin = (Option<u64>, u32, u32);

pub(super) fn kin(socket: &Socket) -> Kin {
    (socket.cgroup_id, socket.inode, socket.netns_inum)
}

/// Everything that a report is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    pub(super) header: Header,
    pub(super) owners: BTreeMap<u32, Owner>,
    pub(super) names: BTreeMap<TallyKey, u32>,
    pub(super) tallies: Vec<Delta>,
    pub(super) rows: Vec<Row>,
    pub(super) residents: BTreeSet<(u32, u32)>,
    pub(super) memcgs: Vec<Pressed>,
    pub(super) memory_stats: BTreeMap<Group, u64>,
    pub(super) contexts: BTreeMap<Group, Context>,
    pub(super) gaps: Vec<String>,
    pub(super) timeline: Vec<TimelineRecord>,
    pub(super) orphans: Vec<(Timestamp, u64)>,
    pub(super) steps: Vec<Step>,
    pub(super) socket_states: Vec<(u64, SocketState)>,
    pub(super) events: Vec<EventRecord>,
    pub(super) scans: BTreeMap<Moment, Scan>,
    pub(super) rests: BTreeMap<Moment, Rest>,
    pub(super) socket_owners: HashMap<Kin, u32>,
    pub(super) descriptors: BTreeMap<u32, Descriptor>,
    /// In words: what a damaged file lacks.
    pub(super) damage: Option<String>,
}

impl Capture {
    /// Nothing but what there is once.
    pub(super) fn new(header: Header) -> Self {
        Self {
            header,
            owners: BTreeMap::new(),
            names: BTreeMap::new(),
            tallies: Vec::new(),
            rows: Vec::new(),
            residents: BTreeSet::new(),
            memcgs: Vec::new(),
            memory_stats: BTreeMap::new(),
            contexts: BTreeMap::new(),
            gaps: Vec::new(),
            timeline: Vec::new(),
            orphans: Vec::new(),
            steps: Vec::new(),
            socket_states: Vec::new(),
            events: Vec::new(),
            scans: BTreeMap::new(),
            rests: BTreeMap::new(),
            socket_owners: HashMap::new(),
            descriptors: BTreeMap::new(),
            damage: None,
        }
    }

    /// Takes over what a report would be made from.
    #[must_use]
    pub fn of(inputs: &Inputs<'_>) -> Self {
        Self::with_report(inputs).0
    }

    /// The same with the report. Names are those that it asks for, so it is made anyway.
    #[must_use]
    pub fn with_report(inputs: &Inputs<'_>) -> (Self, Report) {
        let mut owners = Numbers::default();
        let mut capture = Self::new(header(inputs));
        let asked = RefCell::new(BTreeMap::new());
        let report = report::build(&Inputs {
            owner_of_key: &|key| {
                let owner = (inputs.owner_of_key)(key);
                asked.borrow_mut().insert(*key, owner.clone());
                owner
            },
            ..*inputs
        });
        for (key, owner) in asked.into_inner() {
            capture.names.insert(key, owners.of(owner));
        }
        let scans = [
            (Moment::Start, inputs.scan_start),
            (Moment::Peak, inputs.peak.map(|(scan, _)| scan)),
            (Moment::End, inputs.scan_end),
        ];
        for (moment, scan) in scans {
            let Some(scan) = scan else { continue };
            for socket in scan.examples().chain(scan.shown()) {
                let owner = owners.of((inputs.owner_of_socket)(socket));
                capture.socket_owners.insert(kin(socket), owner);
                if let Some(descriptor) = (inputs.descriptor_of_socket)(socket) {
                    capture.descriptors.insert(socket.inode, descriptor);
                }
            }
            capture.scans.insert(moment, scan.clone());
        }
        for (&inum, residents) in inputs.netns_owners {
            let residents = residents.iter().cloned();
            capture
                .residents
                .extend(residents.map(|owner| (inum, owners.of(owner))));
        }
        capture.tallies = inputs.deltas.to_vec();
        capture.rows = inputs.rows.to_vec();
        capture.memcgs = inputs.memcgs.unwrap_or_default().to_vec();
        capture.memory_stats.clone_from(inputs.memory_stats);
        capture.contexts.clone_from(inputs.contexts);
        capture.gaps = inputs.gaps.to_vec();
        capture.timeline = inputs.timeline.to_vec();
        capture.orphans = inputs.orphans.to_vec();
        capture.steps = inputs.steps.to_vec();
        capture.socket_states = inputs.socket_states.to_vec();
        capture.events = inputs.events.to_vec();
        capture.owners = owners.done();
        capture.header.records = capture.count();
        (capture, report)
    }

    /// What there is once.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// In words: what the file that it was read from lacks; `None` when it is whole.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// When its window begins and ends.
    #[must_use]
    pub const fn ends(&self) -> [Timestamp; 2] {
        [self.header.window.start, self.header.window.end]
    }

    /// Length of its window by the monotonic clock.
    #[must_use]
    pub const fn duration_ns(&self) -> u64 {
        self.header.window.duration_ns
    }

    /// Adds a gap, in words.
    pub(crate) fn note_gap(&mut self, words: String) {
        self.gaps.push(words);
    }

    /// The report, as it was when it was recorded.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report_of(self.header.top)
    }

    /// The same with so many owners in each list at most, if that is more.
    #[must_use]
    pub fn report_of(&self, top: usize) -> Report {
        let owner = |number: Option<&u32>| {
            let owner = number.and_then(|number| self.owners.get(number));
            owner.cloned()
        };
        let unknown = |cgroup_id: Option<u64>| Owner {
            cgroup_id,
            ..Owner::of_kind(OwnerKind::Unknown)
        };
        let mut residents: BTreeMap<u32, BTreeSet<Owner>> = BTreeMap::new();
        for (inum, number) in &self.residents {
            let owner = owner(Some(number));
            residents.entry(*inum).or_default().extend(owner);
        }
        let header = &self.header;
        let mut gaps = self.gaps.clone();
        gaps.extend(self.left_out_in_words());
        let seconds = |at_ns: u64| SignedDuration::from_nanos_i128(at_ns.into());
        report::build(&Inputs {
            version: &header.tcpress,
            window: header.window,
            node: &header.node,
            plan: &header.plan,
            traced: header.traced,
            deltas: &self.tallies,
            owner_of_key: &|key| {
                owner(self.names.get(key)).unwrap_or_else(|| unknown(Some(key.cgroup_id)))
            },
            owner_of_socket: &|socket| {
                owner(self.socket_owners.get(&kin(socket)))
                    .unwrap_or_else(|| unknown(socket.cgroup_id))
            },
            descriptor_of_socket: &|socket| self.descriptors.get(&socket.inode).cloned(),
            memory_stats: &self.memory_stats,
            scan_start: self.scans.get(&Moment::Start),
            peak: self
                .scans
                .get(&Moment::Peak)
                .zip(header.memory_peak.as_ref()),
            scan_end: self.scans.get(&Moment::End),
            memory_start: &header.memory_start,
            memory_end: &header.memory_end,
            rows: &self.rows,
            at_rest: header.at_rest,
            netns_owners: &residents,
            losses: header.losses,
            selfcheck: header.selfcheck,
            recursion_misses: header.recursion_misses.as_deref(),
            possible_misses: header.possible_misses,
            memcgs: header.memcgs.then_some(&self.memcgs),
            contexts: &self.contexts,
            maps: header.maps,
            top: header.top.max(top),
            runtimes: &header.runtimes,
            gaps: &gaps,
            damage: self.damage.as_deref(),
            socket_states: &self.socket_states,
            events: &self.events,
            timeline: &self.timeline,
            orphans: &self.orphans,
            steps: &self.steps,
            wall_clock: &|at_ns| {
                let zero = header.monotonic_zero;
                zero.checked_add(seconds(at_ns)).unwrap_or(zero)
            },
        })
    }
}

fn header(inputs: &Inputs<'_>) -> Header {
    let (zero, set) = ((inputs.wall_clock)(0), inputs.window.clock_set());
    let zero_at_start = zero.checked_sub(set).unwrap_or(zero);
    Header {
        schema: SCHEMA.to_owned(),
        tcpress: inputs.version.to_owned(),
        abi: ABI_VERSION,
        records: BTreeMap::new(),
        window: inputs.window,
        node: inputs.node.clone(),
        plan: inputs.plan.clone(),
        traced: inputs.traced,
        top: inputs.top,
        monotonic_zero: zero,
        zeros: (zero_at_start != zero).then_some([zero_at_start, zero]),
        at_rest: inputs.at_rest,
        left_out: LeftOut::default(),
        memory_start: *inputs.memory_start,
        memory_peak: inputs.peak.map(|(_, memory)| *memory),
        memory_end: *inputs.memory_end,
        losses: inputs.losses,
        selfcheck: inputs.selfcheck,
        recursion_misses: inputs.recursion_misses.map(<[_]>::to_vec),
        possible_misses: inputs.possible_misses,
        memcgs: inputs.memcgs.is_some(),
        maps: inputs.maps,
        runtimes: inputs.runtimes.to_vec(),
    }
}

/// Gives each owner a number, equal ones the same.
#[derive(Default)]
struct Numbers {
    numbers: BTreeMap<Owner, u32>,
}

impl Numbers {
    fn of(&mut self, owner: Owner) -> u32 {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(owner).or_insert(next)
    }

    fn done(self) -> BTreeMap<u32, Owner> {
        let owners = self.numbers.into_iter();
        owners.map(|(owner, number)| (number, owner)).collect()
    }
}
