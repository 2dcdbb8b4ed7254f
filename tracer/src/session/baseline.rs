//! What a window is compared with: how the counts stood when it began. Pure.
//!
//! The end of one window is the beginning of the next, so every count is in one window and no more, and the sum of windows in a row
//! is what one long window would have counted. A row of reconciliation spans more than its window where the namespace was out of
//! sight in between (no process of it could be found at that moment), or was born and counted before it could be read.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    aggregate::{self, Delta, Tallies},
    attribute::kept::Kept,
    indicators::{
        Row,
        rows::{self, KernelCounts, Readings, Snapshot},
    },
};

/// Namespaces out of sight that are remembered.
const MAX_UNSEEN: usize = 64;

/// How the kernel's counters and ours stood.
pub(super) struct Baseline {
    /// The kernel's.
    pub(super) counts: Arc<Snapshot>,
    /// Ours; `None` when nothing is traced.
    pub(super) tallies: Option<Tallies>,
    /// By cookie, namespaces that were read before and not at last, as they stood then.
    unseen: Kept<u64, (KernelCounts, Vec<Delta>)>,
}

impl Baseline {
    /// Begins with a reading.
    pub(super) fn new(counts: Arc<Snapshot>, tallies: Option<Tallies>) -> Self {
        Self {
            counts,
            tallies,
            unseen: Kept::with_max(MAX_UNSEEN),
        }
    }

    /// What happened until another reading; `within` are the last readings of namespaces that may have died since.
    pub(super) fn until(
        &self,
        within: &Snapshot,
        counts: &Snapshot,
        tallies: Option<&Tallies>,
    ) -> (Vec<Delta>, Vec<Row>) {
        let since = |before: &Tallies| tallies.map(|now| aggregate::deltas(before, now));
        let deltas = self.tallies.as_ref().and_then(since);
        let newcomers: BTreeSet<u64> = counts
            .iter()
            .filter(|(inum, now)| !self.knows(**inum, now.cookie))
            .filter_map(|(_, now)| now.cookie)
            .collect();
        let rows = |start: &Snapshot, deltas: Option<&[Delta]>| {
            let end = counts;
            rows::rows(Readings { start, within, end }, deltas)
        };
        if newcomers.is_empty() {
            let rows = rows(&self.counts, deltas.as_deref());
            return (deltas.unwrap_or_default(), rows);
        }
        // The kernel's counters of a newcomer are since its birth, or since it was last read; so must ours be.
        let mut start = Snapshot::clone(&self.counts);
        let mut before = self.tallies.clone().unwrap_or_default();
        before.retain(|key, _| !newcomers.contains(&key.netns_cookie));
        for (&inum, now) in counts {
            let newcomer = now.cookie.filter(|cookie| newcomers.contains(cookie));
            let Some((counts, ours)) = newcomer.and_then(|cookie| self.unseen.get(&cookie)) else {
                continue;
            };
            start.insert(inum, counts.clone());
            before.extend(ours.iter().map(|it| (it.key, it.value)));
        }
        let rows = rows(&start, since(&before).as_deref());
        (deltas.unwrap_or_default(), rows)
    }

    /// The reading that ended a window begins the next one.
    pub(super) fn advance(&mut self, counts: Arc<Snapshot>, tallies: Option<Tallies>) {
        for (&inum, known) in &*self.counts {
            let Some(cookie) = known.cookie else {
                continue;
            };
            let now = counts.get(&inum).and_then(|now| now.cookie);
            if now != Some(cookie) {
                let all = self.tallies.iter().flatten();
                let own =
                    all.filter(|(key, _)| (key.netns_inum, key.netns_cookie) == (inum, cookie));
                // Most are one: a map would take room for eleven.
                let ours = own.map(|(&key, &value)| Delta { key, value }).collect();
                self.unseen.learn(cookie, (known.clone(), ours));
                self.unseen.forget(&cookie);
            }
        }
        self.counts = counts;
        self.tallies = tallies;
    }

    /// Whether a namespace was there when the window began, as far as that can be told.
    fn knows(&self, inum: u32, cookie: Option<u64>) -> bool {
        match (self.counts.get(&inum), cookie) {
            (Some(known), Some(cookie)) => known.cookie.is_none_or(|known| known == cookie),
            // Without a cookie one with the same number is the same.
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::{TallyKey, TallyValue};

    use super::*;
    use crate::{
        indicators::{Counter, Netstat, RowState},
        session::Bracket,
    };

    /// A namespace with its cookie, the kernel's count and ours.
    type Seen = (u32, u64, u64, u64);

    fn bracket(seen: &[Seen], unseen: &[(u32, u64, u64)]) -> Bracket {
        let mut bracket = Bracket::default();
        for &(inum, cookie, kernel, _) in seen {
            let text = format!("TcpExt: PruneCalled\nTcpExt: {kernel}\n");
            let counts = KernelCounts {
                cookie: Some(cookie),
                netstat: Netstat::parse(&text),
                ..KernelCounts::default()
            };
            bracket.counts.insert(inum, counts);
        }
        let ours = seen
            .iter()
            .map(|&(inum, cookie, _, ours)| (inum, cookie, ours));
        for (inum, cookie, ours) in ours.chain(unseen.iter().copied()) {
            let key = TallyKey {
                netns_inum: inum,
                netns_cookie: cookie,
                ..TallyKey::default()
            };
            let value = TallyValue {
                prunes: [ours, 0, 0, 0, 0, 0],
                ..TallyValue::ZERO
            };
            bracket.tallies.insert(key, value);
        }
        bracket
    }

    fn begin(bracket: Bracket) -> Baseline {
        Baseline::new(Arc::new(bracket.counts), Some(bracket.tallies))
    }

    /// The kernel's count, ours, and the sum of what was told of owners.
    fn window(baseline: &mut Baseline, end: Bracket, inum: u32) -> (Option<u64>, Option<u64>, u64) {
        let within = Snapshot::new();
        let (deltas, rows) = baseline.until(&within, &end.counts, Some(&end.tallies));
        baseline.advance(Arc::new(end.counts), Some(end.tallies));
        let of = |row: &&Row| row.netns_inum == inum && row.counter == Counter::PruneCalled;
        let mut of = rows.iter().filter(of);
        let row = of.next().unwrap();
        assert_eq!(of.next(), None);
        if row.state != RowState::Gone {
            assert_eq!(row.residual(), Some(0), "{row:?}");
        }
        let told = deltas.iter().map(|delta| delta.value.prunes[0]).sum();
        (row.kernel, row.attributed, told)
    }

    #[test]
    fn each_count_is_in_one_window() {
        let mut baseline = begin(bracket(&[(5, 1, 100, 7)], &[]));
        let mut told = 0;
        for (kernel, ours) in [(103, 10), (103, 10), (160, 67)] {
            let (of_kernel, ours, sum) =
                window(&mut baseline, bracket(&[(5, 1, kernel, ours)], &[]), 5);
            assert_eq!(of_kernel, ours);
            assert_eq!(ours, Some(sum));
            told += sum;
        }
        assert_eq!(told, 60);
    }

    #[test]
    fn a_namespace_that_comes_back_into_sight_was_not_born() {
        let mut baseline = begin(bracket(&[(5, 1, 100, 7)], &[]));
        // Out of sight, and it goes on counting.
        let hidden = bracket(&[], &[(5, 1, 9)]);
        assert_eq!(window(&mut baseline, hidden, 5), (None, Some(2), 2));
        // 105 less 100, and 12 less 7; to the owner only what came since.
        let back = bracket(&[(5, 1, 105, 12)], &[]);
        assert_eq!(window(&mut baseline, back, 5), (Some(5), Some(5), 3));
        let after = bracket(&[(5, 1, 106, 13)], &[]);
        assert_eq!(window(&mut baseline, after, 5), (Some(1), Some(1), 1));
    }

    #[test]
    fn one_that_counted_before_it_was_listed_is_compared_since_its_birth() {
        let mut baseline = begin(Bracket::default());
        let unlisted = bracket(&[], &[(6, 2, 4)]);
        assert_eq!(window(&mut baseline, unlisted, 6), (None, Some(4), 4));
        let listed = bracket(&[(6, 2, 9, 9)], &[]);
        assert_eq!(window(&mut baseline, listed, 6), (Some(9), Some(9), 5));
    }

    #[test]
    fn a_number_that_is_used_again_is_another_namespace() {
        let mut baseline = begin(bracket(&[(5, 1, 100, 7)], &[]));
        let gone = bracket(&[], &[(5, 1, 7)]);
        window(&mut baseline, gone, 5);
        let reused = bracket(&[(5, 3, 2, 2)], &[(5, 1, 7)]);
        assert_eq!(window(&mut baseline, reused, 5), (Some(2), Some(2), 2));
    }

    #[test]
    fn where_nothing_is_traced_nothing_is_attributed() {
        let end = bracket(&[(5, 1, 103, 0), (6, 2, 4, 0)], &[]);
        let first = bracket(&[(5, 1, 100, 0)], &[]);
        let baseline = Baseline::new(Arc::new(first.counts), None);
        let (deltas, rows) = baseline.until(&Snapshot::new(), &end.counts, None);
        assert_eq!(deltas, []);
        let prunes = rows
            .iter()
            .filter(|row| row.counter == Counter::PruneCalled);
        let seen: Vec<_> = prunes.map(|row| (row.kernel, row.attributed)).collect();
        assert_eq!(seen, [(Some(3), None), (Some(4), None)]);
    }
}
