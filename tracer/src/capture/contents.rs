//! A capture in memory: made from the inputs of a report, and inputs again.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use jiff::{SignedDuration, Timestamp};
use tracer_common::{ABI_VERSION, EventRecord, SocketState, TallyKey, TimelineRecord};

use super::{
    left_out::{LeftOut, Rest},
    record::{Header, Moment, Record, SCHEMA},
};
use crate::{
    aggregate::{Delta, Group, steps::Step},
    attribute::{Descriptor, Owner, OwnerKind},
    holders::{Scan, Socket, Sum},
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

    /// Every line of the file, the counts before what is much and can be spared.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let header = Record::Header(Box::new(self.header.clone()));
        std::iter::once(header).chain(self.body())
    }

    fn body(&self) -> impl Iterator<Item = Record> {
        let owners = self.owners.iter().map(|(&number, owner)| Record::Owner {
            number,
            owner: owner.clone(),
        });
        let names = self.names.iter();
        let names = names.map(|(&key, &owner)| Record::Name { key, owner });
        let residents = self.residents.iter();
        let residents =
            residents.map(|&(netns_inum, owner)| Record::Resident { netns_inum, owner });
        let stats = self.memory_stats.iter();
        let stats = stats.map(|(group, &bytes)| Record::MemoryStat {
            group: group.clone(),
            bytes,
        });
        let contexts = self.contexts.iter();
        let contexts = contexts.map(|(group, context)| Record::Context {
            group: group.clone(),
            context: Box::new(context.clone()),
        });
        let gaps = self.gaps.iter();
        let gaps = gaps.map(|words| Record::Gap {
            words: words.clone(),
        });
        let orphans = self.orphans.iter();
        let orphans = orphans.map(|&(at, orphans)| Record::Orphans { at, orphans });
        let states = self.socket_states.iter();
        let states = states.map(|&(cookie, state)| Record::SocketState { cookie, state });
        let descriptors = self.descriptors.iter();
        let descriptors = descriptors.map(|(&inode, descriptor)| Record::Descriptor {
            inode,
            descriptor: descriptor.clone(),
        });
        owners
            .chain(names)
            .chain(
                self.tallies
                    .iter()
                    .map(|delta| Record::Tally(Box::new(*delta))),
            )
            .chain(self.rows.iter().cloned().map(Record::Row))
            .chain(residents)
            .chain(self.memcgs.iter().cloned().map(Record::Memcg))
            .chain(stats)
            .chain(contexts)
            .chain(gaps)
            .chain(self.timeline.iter().copied().map(Record::Timeline))
            .chain(orphans)
            .chain(self.steps.iter().cloned().map(Record::Step))
            .chain(states)
            .chain(self.events.iter().copied().map(Record::Event))
            .chain(descriptors)
            .chain(
                self.scans
                    .iter()
                    .flat_map(|(&moment, scan)| self.scan(moment, scan)),
            )
    }

    /// A look at sockets: itself, its sums, its sockets.
    fn scan<'a>(&'a self, moment: Moment, scan: &'a Scan) -> impl Iterator<Item = Record> + 'a {
        let owner = |socket: &Socket| self.socket_owners.get(&kin(socket)).copied().unwrap_or(0);
        let head = Record::Scan {
            moment,
            at: scan.at,
            around: scan.around,
            gaps: scan.gaps.clone(),
        };
        let sums = scan.sums.iter().map(move |sum: &Sum| Record::Sum {
            moment,
            owner: owner(&sum.example),
            example: sum.example.clone(),
            part: sum.part,
            top: sum.top.clone(),
        });
        let sockets = scan.sockets.iter().map(move |socket| Record::Socket {
            moment,
            owner: owner(socket),
            socket: socket.clone(),
        });
        let rest = self.rests.get(&moment);
        let rest = rest.map(|&rest| Record::Rest { moment, rest });
        std::iter::once(head).chain(rest).chain(sums).chain(sockets)
    }

    /// How many records of each kind follow the header.
    pub(super) fn count(&self) -> BTreeMap<String, u64> {
        let mut records: BTreeMap<String, u64> = BTreeMap::new();
        for record in self.body() {
            *records.entry(record.kind().to_owned()).or_default() += 1;
        }
        records
    }

    /// Takes one record that follows the header.
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Header(_) => {}
            Record::Owner { number, owner } => drop(self.owners.insert(number, owner)),
            Record::Name { key, owner } => drop(self.names.insert(key, owner)),
            Record::Tally(delta) => self.tallies.push(*delta),
            Record::Row(row) => self.rows.push(row),
            Record::Resident { netns_inum, owner } => {
                self.residents.insert((netns_inum, owner));
            }
            Record::Memcg(pressed) => self.memcgs.push(pressed),
            Record::MemoryStat { group, bytes } => drop(self.memory_stats.insert(group, bytes)),
            Record::Context { group, context } => drop(self.contexts.insert(group, *context)),
            Record::Gap { words } => self.gaps.push(words),
            Record::Timeline(record) => self.timeline.push(record),
            Record::Orphans { at, orphans } => self.orphans.push((at, orphans)),
            Record::Step(step) => self.steps.push(step),
            Record::SocketState { cookie, state } => self.socket_states.push((cookie, state)),
            Record::Event(record) => self.events.push(record),
            Record::Scan {
                moment,
                at,
                around,
                gaps,
            } => {
                let scan = self.scans.entry(moment).or_default();
                scan.at = at;
                scan.around = around;
                scan.gaps = gaps;
            }
            Record::Rest { moment, rest } => drop(self.rests.insert(moment, rest)),
            Record::Socket {
                moment,
                owner,
                socket,
            } => {
                self.socket_owners.insert(kin(&socket), owner);
                self.scans.entry(moment).or_default().sockets.push(socket);
            }
            Record::Sum {
                moment,
                owner,
                example,
                part,
                top,
            } => {
                for socket in top.iter().chain([&example]) {
                    self.socket_owners.insert(kin(socket), owner);
                }
                let sum = Sum { example, part, top };
                self.scans.entry(moment).or_default().sums.push(sum);
            }
            Record::Descriptor { inode, descriptor } => {
                self.descriptors.insert(inode, descriptor);
            }
        }
    }
}

fn header(inputs: &Inputs<'_>) -> Header {
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
        monotonic_zero: (inputs.wall_clock)(0),
        zeros: None,
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
