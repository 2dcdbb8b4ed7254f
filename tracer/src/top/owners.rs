//! Owners as lines of the screen: what they suffered in the last window and since the start, what they hold, how it grows.

use std::collections::BTreeMap;

use super::identity::Identity;
use crate::report::{Basis, Holder, Owner, Report, Victim};

/// Owners whose sums since the start are kept; beyond, those that suffered longest ago go first.
const MAX_SUFFERERS: usize = 4096;

/// What somebody suffered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Harm {
    /// Segments thrown away.
    pub(super) refused: u64,
    /// Calls of the prune path; `None` where that was not seen.
    pub(super) prunes: Option<u64>,
    /// Time that prunes kept the CPU, in nanoseconds; `None` where that was not seen.
    pub(super) stall_ns: Option<u64>,
}

impl Harm {
    /// Of somebody who is no victim: nothing, as far as it would have been seen.
    pub(super) fn none(traced: bool) -> Self {
        Self {
            refused: 0,
            prunes: Some(0),
            stall_ns: traced.then_some(0),
        }
    }

    fn of(victim: &Victim) -> Self {
        Self {
            refused: victim.refused(),
            prunes: victim.prunes,
            stall_ns: victim.stall_ns,
        }
    }

    /// Adds what came later. What was not seen once is not known in sum.
    fn add(&mut self, other: Self) {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        self.refused = self.refused.saturating_add(other.refused);
        self.prunes = sum(self.prunes, other.prunes);
        self.stall_ns = sum(self.stall_ns, other.stall_ns);
    }
}

/// One owner.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) identity: Identity,
    pub(super) owner: Owner,
    /// In the last window.
    pub(super) now: Harm,
    /// Since the start.
    pub(super) total: Harm,
    /// What its sockets take from `tcp_mem`; `None` where sockets were not read.
    pub(super) held: Option<u64>,
    /// How many they are.
    pub(super) sockets: Option<u64>,
    /// Payload that nobody has read.
    pub(super) unread: Option<u64>,
    /// Change of `held` in bytes a second between the last two times that sockets were read.
    pub(super) growth: Option<f64>,
    /// Whether it is accused.
    pub(super) accused: bool,
}

/// What is remembered of owners from report to report.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    sums: BTreeMap<Identity, Sum>,
    growth: BTreeMap<Identity, f64>,
    windows: u64,
    /// All of them together, also those that are not remembered any more.
    pub(super) total: Harm,
}

#[derive(Clone, Debug)]
struct Sum {
    owner: Owner,
    harm: Harm,
    /// Number of the last window in which it suffered.
    last: u64,
}

impl Owners {
    /// Takes a report: its sums are added, and growth is that of the last two readings of sockets.
    pub(super) fn take(&mut self, report: &Report) {
        let traced = is_traced(report);
        if self.windows == 0 {
            self.total = Harm::none(traced);
        }
        self.windows += 1;
        for victim in &report.victims {
            let harm = Harm::of(victim);
            self.total.add(harm);
            let sum = self.sums.entry(Identity::of(&victim.owner)).or_insert(Sum {
                owner: victim.owner.clone(),
                harm: Harm::none(true),
                last: self.windows,
            });
            sum.harm.add(harm);
            sum.last = self.windows;
            // Names may come late.
            sum.owner.clone_from(&victim.owner);
        }
        while self.sums.len() > MAX_SUFFERERS {
            let oldest = self.sums.iter().min_by_key(|(_, sum)| sum.last);
            let Some(oldest) = oldest.map(|(identity, _)| identity.clone()) else {
                break;
            };
            self.sums.remove(&oldest);
        }
        let memory = &report.tcp_memory;
        if let Some((since, at)) = memory.growth_since.zip(memory.found_at) {
            let seconds = at.duration_since(since).as_secs_f64();
            let grown = report.holders.iter().filter(|_| seconds > 0.0);
            let grown = grown.filter_map(|holder| {
                #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
                let rate = holder.growth_bytes? as f64 / seconds;
                Some((Identity::of(&holder.owner), rate))
            });
            self.growth = grown.collect();
        }
    }

    /// Everybody who holds or has suffered, in no order.
    pub(super) fn lines(&self, report: &Report) -> Vec<Line> {
        let mut lines = Lines {
            owners: self,
            nothing: Harm::none(is_traced(report)),
            read: report.tcp_memory.found_bytes.is_some(),
            by_identity: BTreeMap::new(),
        };
        for sum in self.sums.values() {
            lines.of(&sum.owner);
        }
        for victim in &report.victims {
            lines.of(&victim.owner).now = Harm::of(victim);
        }
        for holder in &report.holders {
            lines.hold(holder).accused = false;
        }
        for culprit in &report.culprits {
            lines.hold(&culprit.holder).accused = true;
        }
        lines.by_identity.into_values().collect()
    }
}

/// Lines in the making.
struct Lines<'a> {
    owners: &'a Owners,
    /// What somebody suffered who is no victim.
    nothing: Harm,
    /// Whether sockets were read: then who is not among the holders holds nothing.
    read: bool,
    by_identity: BTreeMap<Identity, Line>,
}

impl Lines<'_> {
    /// The line of an owner.
    fn of(&mut self, owner: &Owner) -> &mut Line {
        let identity = Identity::of(owner);
        let owners = self.owners;
        self.by_identity
            .entry(identity.clone())
            .or_insert_with(|| Line {
                owner: owner.clone(),
                now: self.nothing,
                total: owners
                    .sums
                    .get(&identity)
                    .map_or(self.nothing, |it| it.harm),
                held: self.read.then_some(0),
                sockets: self.read.then_some(0),
                unread: self.read.then_some(0),
                growth: owners.growth.get(&identity).copied(),
                accused: false,
                identity,
            })
    }

    fn hold(&mut self, holder: &Holder) -> &mut Line {
        let line = self.of(&holder.owner);
        line.held = Some(holder.held_bytes);
        line.sockets = Some(holder.sockets);
        line.unread = Some(holder.unread_bytes);
        // Of a pod holders know the name more often than victims do.
        line.owner.clone_from(&holder.owner);
        line
    }
}

fn is_traced(report: &Report) -> bool {
    report.verdict.evidence == Basis::Probes
}
