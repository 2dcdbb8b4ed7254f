//! What owners hold, as sockets were last listed: those that hold most by themselves, as many as there is room for, the rest as one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::OwnerLabels;
use crate::{
    attribute::Owner,
    holders::{Scan, Socket, TcpState, part::Part},
};

/// How many names of states there are: those of the kernel, and one for all that this version does not know.
pub const STATES: usize = 12;

/// What one owner holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Over all its sockets.
    pub total: Part,
    /// How many there are in each state that has any, by its name in metrics.
    pub states: BTreeMap<&'static str, u64>,
}

impl Held {
    fn count(&mut self, state: TcpState, sockets: u64) {
        *self.states.entry(name(state)).or_default() += sockets;
    }

    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        for (state, sockets) in &other.states {
            *self.states.entry(state).or_default() += sockets;
        }
    }

    /// How many series it takes. One that has nothing but stand-ins (TIME-WAIT, requests) holds no memory to tell of.
    #[must_use]
    pub fn series(&self) -> usize {
        let memory = if self.total.full > 0 {
            MEMORY_SERIES
        } else {
            0
        };
        self.states.len() + memory
    }
}

/// Series of an owner besides those of states: three queues, payload unread, orphans, sockets not accepted.
pub(super) const MEMORY_SERIES: usize = 6;

/// Name of a state in metrics: as in reports, but in small letters.
const fn name(state: TcpState) -> &'static str {
    match state {
        TcpState::Established => "established",
        TcpState::SynSent => "syn_sent",
        TcpState::SynRecv => "syn_recv",
        TcpState::FinWait1 => "fin_wait_1",
        TcpState::FinWait2 => "fin_wait_2",
        TcpState::TimeWait => "time_wait",
        TcpState::Close => "close",
        TcpState::CloseWait => "close_wait",
        TcpState::LastAck => "last_ack",
        TcpState::Listen => "listen",
        TcpState::Closing => "closing",
        TcpState::Other(_) => "other",
    }
}

/// Owners with what they hold; the names of all of them, and how many are summed in the last one for want of room.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    pub(super) all: Vec<(Arc<OwnerLabels>, Held)>,
    pub(super) names: BTreeSet<OwnerLabels>,
    pub(super) summed: usize,
}

impl Holders {
    /// Those of a listing, in at most so many series beside those of the rest.
    pub(super) fn of(scan: &Scan, owner_of: &dyn Fn(&Socket) -> Owner, room: usize) -> Self {
        // By owner first: there are far fewer than sockets, and to make names safe costs more than to compare them.
        let mut owners: HashMap<Owner, Held> = HashMap::new();
        for socket in &scan.sockets {
            let held = owners.entry(owner_of(socket)).or_default();
            held.total.add(socket);
            held.count(socket.state, 1);
        }
        for sum in &scan.sums {
            let held = owners.entry(owner_of(&sum.example)).or_default();
            held.total.merge(&sum.part);
            held.count(sum.example.state, sum.part.sockets);
        }
        let mut by: BTreeMap<OwnerLabels, Held> = BTreeMap::new();
        for (owner, held) in owners {
            by.entry(OwnerLabels::of(&owner)).or_default().merge(&held);
        }
        let names = by.keys().cloned().collect();
        let mut sorted: Vec<_> = by.into_iter().collect();
        // Most bytes first, then most sockets; equals stay in the order of their names.
        sorted.sort_by_key(|(_, held)| std::cmp::Reverse((held.total.held, held.total.sockets)));
        let mut left = room;
        let fits = |(_, held): &&(OwnerLabels, Held)| {
            left.checked_sub(held.series())
                .map(|rest| left = rest)
                .is_some()
        };
        let fitting = sorted.iter().take_while(fits).count();
        let mut other = Held::default();
        for (_, held) in &sorted[fitting..] {
            other.merge(held);
        }
        let summed = sorted.len() - fitting;
        sorted.truncate(fitting);
        sorted.extend((summed > 0).then(|| (OwnerLabels::other(), other)));
        let all = sorted.into_iter();
        Self {
            all: all.map(|(labels, held)| (Arc::new(labels), held)).collect(),
            names,
            summed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::state_name;

    #[test]
    fn names_are_those_of_reports_in_small_letters() {
        for state in (1..=11).map(TcpState::from_number) {
            let want = state_name(state).to_lowercase().replace('-', "_");
            assert_eq!(name(state), want);
        }
        assert_eq!(name(TcpState::Other(99)), "other");
    }
}
