//! What the agent remembers for Prometheus: true counters of each owner, what each holds, and sums of the whole node. Pure: it is told
//! what was read, and when.
//!
//! **Series are bounded.** A budget is shared out: first what the node and the agent take at most, then two sets for `other`; of what is
//! left one half is for owners with counters, each reckoned at the most it can take, the other half, and what the first leaves over,
//! for owners that hold something, each reckoned at what it takes.
//!
//! **Counters never fall** while the agent lives. Whoever loses its series is remembered and goes on where it was, as long as no more than
//! [`MAX_REMEMBERED`] are. Each count is in exactly one account, so all accounts together rise by what happened.

mod accounts;
mod counts;
mod figures;
mod held;
mod labels;
mod sums;
#[cfg(test)]
pub(in crate::agent) mod tests;

use std::time::Duration;

pub use accounts::MAX_REMEMBERED;
pub use counts::{Counts, LIMITS, QUEUES, STALL_BOUNDS};
pub use figures::{AgentFigures, Exports, Figures, MapFill, NodeFigures};
pub use held::{Held, STATES};
pub use labels::{OwnerLabels, VALUE_MAX};
pub use sums::{ProgramRuns, Reconciled};
use tracer_common::TallyKey;

use self::{accounts::Accounts, held::Holders, sums::Sums};
use crate::{
    agent::metrics::catalogue::{self, Scope},
    aggregate::Delta,
    attribute::{Owner, OwnerKind},
    holders::{Scan, Socket},
    indicators::Row,
    report::Losses,
};

/// Everything that is remembered.
#[derive(Debug)]
pub struct Ledger {
    share: Share,
    accounts: Accounts,
    holders: Holders,
    sums: Sums,
    misses: u64,
    /// Listings of which some holders were summed for want of room.
    crowded: u64,
}

/// How the budget of series is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The whole of it.
    pub budget: usize,
    /// Owners that can have counters.
    pub owners: usize,
    /// Series for what owners hold.
    pub held: usize,
}

impl Share {
    /// The smallest budget: room for one owner with counters and one that holds something.
    #[must_use]
    pub fn least() -> usize {
        let [counters, gauges] = [Scope::OwnerCounter, Scope::OwnerGauge].map(catalogue::most);
        Self::fixed() + 2 * counters.max(gauges)
    }

    /// Shares a budget out; one that is too small is taken as the smallest.
    #[must_use]
    pub fn of(budget: usize) -> Self {
        let budget = budget.max(Self::least());
        let rest = budget - Self::fixed();
        let each = catalogue::most(Scope::OwnerCounter);
        let owners = rest / 2 / each;
        Self {
            budget,
            owners,
            held: rest - owners * each,
        }
    }

    /// What the node, the agent and `other` take at most.
    fn fixed() -> usize {
        Scope::ALL.map(catalogue::most).into_iter().sum()
    }
}

impl Ledger {
    /// Remembers nothing yet. `budget` is the most series that a page may have, `grace` how long owners that are gone and quiet stay.
    #[must_use]
    pub fn new(budget: usize, grace: Duration) -> Self {
        let share = Share::of(budget);
        Self {
            share,
            accounts: Accounts::new(share.owners, grace),
            holders: Holders::default(),
            sums: Sums::default(),
            misses: 0,
            crowded: 0,
        }
    }

    /// Takes other bounds and keeps every count. Holders follow with the next listing.
    pub fn bound(&mut self, budget: usize, grace: Duration) {
        self.share = Share::of(budget);
        self.accounts.bound(self.share.owners, grace);
    }

    /// Adds what each key did since the tick before. `now` is the time since the agent began.
    pub fn count(
        &mut self,
        now: Duration,
        deltas: &[Delta],
        owner_of: &dyn Fn(&TallyKey) -> Owner,
    ) {
        for Delta { key, value } in deltas {
            let mut counts = Counts::default();
            counts.add(value);
            if counts.is_zero() {
                continue;
            }
            let owner = owner_of(key);
            if matches!(owner.kind, OwnerKind::Unknown | OwnerKind::Unattributed) {
                self.misses = self.misses.saturating_add(counts.events());
            }
            self.accounts
                .add(now, OwnerLabels::of(&owner), |to| to.add(value));
        }
    }

    /// Takes a listing of sockets in the place of the one before.
    pub fn hold(&mut self, scan: &Scan, owner_of: &dyn Fn(&Socket) -> Owner) {
        self.holders = Holders::of(scan, owner_of, self.share.held);
        self.crowded += u64::from(self.holders.summed > 0);
    }

    /// Hears which owners live; those that hold sockets do as well. Call it once a window: whoever has been gone and quiet for the grace
    /// period is dropped.
    pub fn living<'a>(&mut self, now: Duration, owners: impl IntoIterator<Item = &'a Owner>) {
        let mut living = self.holders.names.clone();
        living.extend(owners.into_iter().map(OwnerLabels::of));
        self.accounts.living(now, &living);
    }

    /// Adds the rows of a window: the kernel's counters against ours.
    pub fn rows(&mut self, rows: &[Row]) {
        self.sums.rows(rows);
    }

    /// Adds what was lost within a window.
    pub fn lost(&mut self, losses: &Losses) {
        self.sums.lost(losses);
    }

    /// Takes a reading of the run time of all programs; those that were loaded anew go on where they were.
    pub fn ran(&mut self, programs: &[ProgramRuns]) {
        self.sums.ran(programs);
    }

    /// How the budget is shared out.
    #[must_use]
    pub const fn share(&self) -> Share {
        self.share
    }

    /// What a page is made of, now.
    #[must_use]
    pub fn figures(&self, node: NodeFigures, mut agent: AgentFigures) -> Figures {
        agent.bounds_hit.extend([
            ("series_counters", self.accounts.crowded),
            ("series_held", self.crowded),
            ("remembered_owners", self.accounts.forgotten),
        ]);
        Figures {
            owners: self.accounts.all(),
            holders: self.holders.all.clone(),
            reconciled: self.sums.reconciled,
            lost: self.sums.lost.clone(),
            programs: self.sums.programs(),
            misses: self.misses,
            series_budget: self.share.budget,
            node,
            agent,
        }
    }
}
