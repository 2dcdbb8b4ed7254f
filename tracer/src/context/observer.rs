//! Reads figures when a window opens, looks at threads while it is open, and makes contexts of both when it closes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    cgroup::{self, Reading, Roots, lineage},
    figures::{self, Parts},
    network, processes,
    psi::Pressure,
    subject::{self, Subject},
    task::{self, Eye},
    threads::Tracks,
};
use crate::{
    aggregate::Group,
    attribute::{Owner, Sources},
    holders::{Socket, tcp_info},
    indicators::rows::Snapshot,
    report::{
        Context,
        context::{Network, Psi},
    },
};

/// Cgroups that are read at the start of a window: of a busy node's pods with sockets all, each with those above it.
const MAX_CGROUPS: usize = 1024;
/// Time for them.
const START_BUDGET: Duration = Duration::from_millis(500);
/// Owners whose threads are looked at within a window; of those that hold, and those that evidence names.
pub const MAX_TRACKED: usize = 12;
/// Time for looking for the processes of owners, each time.
const FIND_BUDGET: Duration = Duration::from_millis(300);
/// Time for one round of looks.
const ROUND_BUDGET: Duration = Duration::from_millis(100);
/// Rounds that a context needs at the end; what lacks is made up for then.
const ROUNDS: u64 = 10;
/// Between two of these. Longer than a tick, and together shorter than anybody minds.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(25);
/// Rounds after which the time between two doubles, so that long windows cost no more than short ones.
const ROUNDS_BEFORE_SLOWER: u32 = 32;
/// Time for asking single sockets.
const SOCKETS_BUDGET: Duration = Duration::from_millis(500);
/// Files of the node's pressure.
const PRESSURES: [&str; 3] = ["io", "cpu", "memory"];

/// An observer of owners over a window.
pub struct Observer {
    proc: PathBuf,
    roots: Roots,
    since: Instant,
    tick_ns: Option<u64>,
    node: [Option<Pressure>; 3],
    base: BTreeMap<String, Reading>,
    tracked: BTreeMap<Group, Tracked>,
    rounds: u32,
    next: Instant,
    between: Duration,
    gaps: BTreeSet<String>,
}

/// Processes of an owner, and what their threads did.
#[derive(Default)]
struct Tracked {
    pids: Vec<i32>,
    tracks: Tracks,
    denied: bool,
    left_out: usize,
}

/// What is known at the end of a window besides what an observer reads itself.
pub struct Ending<'a> {
    /// Those to look into, worst first, with their sockets at the end.
    pub subjects: Vec<(Group, Subject<'a>)>,
    /// Owners by the network namespace that they have sockets in.
    pub residents: &'a BTreeMap<u32, BTreeSet<Group>>,
    /// Cookies of sockets that had unread data when the window opened.
    pub unread_before: &'a HashSet<u64>,
    /// Cookies of sockets that suffered.
    pub named: &'a HashSet<u64>,
    /// The kernel's counters when the window opened; `None` for a snapshot.
    pub counts_before: Option<&'a Snapshot>,
    /// And when it closed.
    pub counts: &'a Snapshot,
}

impl Observer {
    /// Reads the figures of all owners of sockets, and begins to look at the threads of those that hold most.
    #[must_use]
    pub fn begin(sources: &Sources, subjects: &BTreeMap<Group, Subject<'_>>) -> Self {
        let now = Instant::now();
        let mut observer = Self {
            roots: Roots::find(&sources.cgroup_root, &sources.proc),
            tick_ns: task::tick_ns(&sources.proc),
            node: node(&sources.proc),
            proc: sources.proc.clone(),
            since: now,
            base: BTreeMap::new(),
            tracked: BTreeMap::new(),
            rounds: 0,
            next: now,
            between: Duration::ZERO,
            gaps: BTreeSet::new(),
        };
        let mut by_size: Vec<(&Group, &Subject<'_>)> = subjects.iter().collect();
        by_size.sort_by_key(|(_, subject)| Reverse(subject.held));
        let deadline = now + START_BUDGET;
        let mut unread = 0_usize;
        for (_, subject) in &by_size {
            unread += usize::from(!observer.read_base(subject, deadline));
        }
        if unread > 0 {
            observer.gaps.insert(format!(
                "context: figures of {unread} of {} owners were not read when the window opened: more than {MAX_CGROUPS} cgroups, or no time",
                by_size.len()
            ));
        }
        let told = |subject: &Subject<'_>| {
            !subject.paths().is_empty() || subject.processes().next().is_some()
        };
        by_size.retain(|(_, subject)| subject.held > 0 && told(subject));
        // The other half is for those that evidence will name.
        by_size.truncate(MAX_TRACKED / 2);
        observer.track(&by_size);
        observer.round(None);
        observer
    }

    /// Looks at threads, unless that was done a moment ago; and takes those in whom evidence has named since.
    pub fn look(&mut self, named: &[Owner]) {
        if Instant::now() < self.next {
            return;
        }
        let mut new: BTreeMap<Group, Subject<'_>> = BTreeMap::new();
        for owner in named {
            let group = Group::of(owner);
            if !self.tracked.contains_key(&group) {
                new.entry(group).or_default().owners.insert(owner.clone());
            }
        }
        let deadline = Instant::now() + START_BUDGET;
        for subject in new.values() {
            self.read_base(subject, deadline);
        }
        self.track(&new.iter().collect::<Vec<_>>());
        self.round(None);
    }

    /// Reads again, looks at those that matter, and gives their figures.
    #[must_use]
    pub fn end(mut self, ending: &Ending<'_>) -> (BTreeMap<Group, Context>, Vec<String>) {
        let subjects: Vec<_> = ending
            .subjects
            .iter()
            .map(|(group, it)| (group, it))
            .collect();
        let wanted: BTreeSet<&Group> = subjects.iter().map(|(group, _)| *group).collect();
        // Room for those that nobody has looked at yet. Who reads is known better by the sockets of now.
        self.tracked.retain(|group, _| wanted.contains(group));
        self.track(&subjects);
        // Who has no process can be looked at as often as one likes.
        let fewest = |observer: &Self| {
            let living = observer.tracked.values().filter(|it| !it.pids.is_empty());
            living.map(|it| it.tracks.rounds()).min().unwrap_or(ROUNDS)
        };
        for _ in 0..ROUNDS {
            if fewest(&self) >= ROUNDS {
                break;
            }
            self.round(Some(ROUNDS));
            thread::sleep(BETWEEN_ROUNDS);
        }
        // Between two readings of a snapshot lies no window.
        let node = self.node_since(ending.counts_before.is_some());
        let infos = self.ask(ending);
        let mut contexts = BTreeMap::new();
        for (group, subject) in &ending.subjects {
            let context = self.context(group, subject, ending, node, &infos);
            contexts.insert(group.clone(), context);
        }
        (contexts, self.gaps.into_iter().collect())
    }

    /// Reads the cgroups of an owner that were not read yet; `false` when not all could be.
    fn read_base(&mut self, subject: &Subject<'_>, deadline: Instant) -> bool {
        for path in subject.paths().iter().flat_map(|path| lineage(path)) {
            if self.base.contains_key(&path) {
                continue;
            }
            if self.base.len() >= MAX_CGROUPS || Instant::now() >= deadline {
                return false;
            }
            if let Some(reading) = cgroup::read(&self.roots, &path) {
                self.base.insert(path, reading);
            }
        }
        true
    }

    /// Finds the processes that read for owners, and tracks them from now on. What the same processes did before is kept.
    fn track(&mut self, subjects: &[(&Group, &Subject<'_>)]) {
        let deadline = Instant::now() + FIND_BUDGET;
        let listing = match subjects {
            [] => return,
            _ => processes::list(&self.proc, deadline),
        };
        if listing.left_out > 0 {
            self.gaps.insert(format!(
                "context: time was up before the cgroups of {} processes were read: threads of their owners may not have been looked at",
                listing.left_out
            ));
        }
        for (group, subject) in subjects {
            if self.tracked.len() >= MAX_TRACKED && !self.tracked.contains_key(group) {
                self.gaps.insert(format!(
                    "context: threads of more than {MAX_TRACKED} owners: those of some were not looked at"
                ));
                continue;
            }
            let mut pids: Vec<i32> = subject.processes().collect();
            pids.extend(listing.within(&subject.paths()));
            pids.sort_unstable();
            pids.dedup();
            let pids = processes::readers(&self.proc, &pids, &subject.inodes, deadline);
            let tracked = self.tracked.entry((*group).clone()).or_default();
            // What the dead did before they died is all that there will be.
            if pids.is_empty() {
                continue;
            }
            if pids.iter().any(|pid| !tracked.pids.contains(pid)) {
                *tracked = Tracked::default();
            } else {
                tracked.tracks.keep(&pids);
            }
            tracked.pids = pids;
        }
    }

    /// Looks once at the threads of all tracked owners, or of those with fewer rounds than asked for.
    fn round(&mut self, fewer_than: Option<u64>) {
        let eye = Eye {
            proc: &self.proc,
            since: self.since,
            tick_ns: self.tick_ns,
        };
        let deadline = Instant::now() + ROUND_BUDGET;
        for tracked in self.tracked.values_mut() {
            if fewer_than.is_some_and(|rounds| tracked.tracks.rounds() >= rounds) {
                continue;
            }
            let mut samples = Vec::new();
            for pid in &tracked.pids {
                let looked = eye.look(*pid, deadline);
                samples.extend(looked.samples);
                tracked.denied |= looked.denied;
                tracked.left_out = tracked.left_out.max(looked.left_out);
            }
            tracked.tracks.add(samples);
        }
        self.rounds += 1;
        if self.rounds.is_multiple_of(ROUNDS_BEFORE_SLOWER) {
            self.between = (self.between * 2).max(Duration::from_secs(1));
        }
        self.next = Instant::now() + self.between;
    }

    /// Pressure of the node since the start, or the kernel's own averages where no time has passed.
    fn node_since(&self, window: bool) -> [Option<Psi>; 3] {
        let elapsed = self.since.elapsed();
        let now = node(&self.proc);
        std::array::from_fn(|index| {
            let before = self.node[index].filter(|_| window);
            let before = before.map(|before| (before, elapsed));
            Some(now[index]?.since(before))
        })
    }

    /// Asks the sockets that matter.
    fn ask(&self, ending: &Ending<'_>) -> HashMap<u64, tcp_info::TcpInfo> {
        let subjects = ending.subjects.iter();
        let sockets: Vec<&Socket> = subjects
            .flat_map(|(_, subject)| subject.worst(ending.named))
            .collect();
        tcp_info::ask(&self.proc, &sockets, Instant::now() + SOCKETS_BUDGET)
    }

    fn context(
        &self,
        group: &Group,
        subject: &Subject<'_>,
        ending: &Ending<'_>,
        node: [Option<Psi>; 3],
        infos: &HashMap<u64, tcp_info::TcpInfo>,
    ) -> Context {
        let window = ending.counts_before.is_some();
        let paths = subject.paths();
        let levels = paths.iter().flat_map(|path| lineage(path));
        let readings: figures::Readings = levels
            .filter_map(|path| {
                let now = cgroup::read(&self.roots, &path)?;
                let before = self.base.get(&path).filter(|_| window).cloned();
                Some((path, (before, now)))
            })
            .collect();
        let nothing = Tracked::default();
        let tracked = self.tracked.get(group).unwrap_or(&nothing);
        let shared = subject.netns.iter().any(|inum| {
            let residents = ending.residents.get(inum).into_iter().flatten();
            residents.into_iter().any(|resident| resident != group)
        });
        let counted = ending
            .counts_before
            .map(|before| network::since(before, ending.counts, &subject.netns));
        let network = Network {
            shared: (!subject.netns.is_empty()).then_some(shared),
            sockets: subject
                .worst(ending.named)
                .into_iter()
                .filter_map(|socket| {
                    let info = infos.get(&socket.cookie)?;
                    Some(subject::network_socket(socket, info))
                })
                .collect(),
            ..counted.unwrap_or_default()
        };
        let parts = Parts {
            subject,
            readings: &readings,
            tracks: &tracked.tracks,
            node,
        };
        Context {
            left_unread_bytes: subject.left_unread(ending.unread_before, infos),
            gaps: gaps_of(subject, &readings, tracked, window),
            ..figures::figures(&parts, network)
        }
    }
}

/// In words: what is weaker of one owner.
fn gaps_of(
    subject: &Subject<'_>,
    readings: &figures::Readings,
    tracked: &Tracked,
    window: bool,
) -> Vec<String> {
    let mut gaps = Vec::new();
    let home = subject.home();
    let reading = home.as_ref().and_then(|home| readings.get(home));
    match (&home, reading) {
        (None, _) => gaps
            .push("it has no cgroup of its own: what cgroups tell is not known of it".to_owned()),
        (Some(home), None) => gaps.push(format!("cgroup {home} cannot be read, or is gone")),
        (_, Some((before, now))) => {
            if before.is_none() && window {
                gaps.push("its cgroup was not read when the window opened: counts since then are not known".to_owned());
            }
            if now.memory_psi.is_none() {
                gaps.push(
                        "the kernel tells no pressure of its cgroup (v1 hierarchy, or psi=0): that of the whole node and its threads stand in".to_owned(),
                    );
            }
        }
    }
    if tracked.tracks.rounds() == 0 {
        gaps.push("no thread of it could be looked at".to_owned());
    }
    if tracked.denied {
        gaps.push("system calls of its threads may not be read (CAP_SYS_PTRACE): a lock is not told from a condition".to_owned());
    }
    if tracked.left_out > 0 {
        gaps.push(format!(
            "up to {} threads of it were not looked at in a round",
            tracked.left_out
        ));
    }
    gaps
}

fn node(proc: &Path) -> [Option<Pressure>; 3] {
    PRESSURES.map(|name| {
        let text = fs::read_to_string(proc.join("pressure").join(name)).ok()?;
        Pressure::parse(&text)
    })
}

#[cfg(test)]
#[path = "observer_tests.rs"]
mod tests;
