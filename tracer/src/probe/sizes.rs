//! How many entries each map gets out of a budget of bytes. Pure arithmetic, so that a node of 2 CPUs and
//! one of 256 are tested alike.

use tracer_common::{Frame, SocketState, TallyKey, TallyValue, Verdict};

/// What the kernel keeps beside key and value of a hash entry (`struct htab_elem`, and its bucket;
/// `kernel/bpf/hashtab.c`).
const ENTRY: u64 = 48 + 16;
/// Network namespaces that get an overflow bucket of their own.
const NAMESPACES: u32 = 512;
/// Counters of the kernel that are read in place.
const MARKS_PER_NAMESPACE: u32 = 4;
/// Calls that can be live per CPU: one in a task and those in softirqs that interrupt it; tasks that are put aside within a call
/// come on top.
const CALLS_PER_CPU: u32 = 32;
/// Fewest such calls.
const FEWEST_CALLS: u32 = 512;
/// Fewest owners and sockets, whatever the budget is.
const FEWEST: u32 = 64;
/// Most owners and sockets, whatever the budget is.
const MOST: u32 = 1 << 20;

/// The budget by default: a base, and a part for each CPU that the kernel may ever have.
#[must_use]
pub const fn default_budget(cpus: u32) -> u64 {
    (16 << 20) + (64 << 10) * cpus as u64
}

/// Entries and bytes of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Owners that get a tally of their own.
    pub owners: u32,
    /// Network namespaces that get an overflow bucket of their own, and marks of the kernel's counters.
    pub namespaces: u32,
    /// Sockets whose state is kept.
    pub sockets: u32,
    /// Calls that can be live at one time.
    pub calls: u32,
    /// Bytes of the ring buffer for evidence: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
}

impl Sizes {
    /// What fits into a budget of bytes on a machine with that many possible CPUs. What calls and namespaces need comes first, a
    /// sixteenth goes to evidence, and of the rest two thirds to owners and one to sockets. A budget that is too small for the
    /// fewest of each is overdrawn; [`Self::bytes`] tells.
    #[must_use]
    pub fn within(budget: u64, cpus: u32) -> Self {
        let mut sizes = Self {
            owners: FEWEST,
            namespaces: NAMESPACES,
            sockets: FEWEST,
            calls: CALLS_PER_CPU.saturating_mul(cpus).max(FEWEST_CALLS),
            ring_bytes: ring(budget / 16),
        };
        let rest = budget.saturating_sub(sizes.bytes(cpus));
        let more = |part: u64, entry: u64| u32::try_from(part / entry).unwrap_or(MOST);
        sizes.owners = (FEWEST + more(rest / 3 * 2, tally())).min(MOST);
        sizes.sockets = (FEWEST + more(rest / 3, state())).min(MOST);
        sizes
    }

    /// Bytes that these maps take, without the few that do not depend on any size.
    #[must_use]
    pub fn bytes(&self, cpus: u32) -> u64 {
        let many = |count: u32, entry: u64| u64::from(count) * entry;
        let marks = self.namespaces.saturating_mul(MARKS_PER_NAMESPACE);
        let calls = [
            entry(8, size_of::<Frame>()),
            entry(8, size_of::<Verdict>()),
            // In repair, at a window of 0, around pressure.
            entry(8, 8) * 3,
            // Failed charges.
            entry(16, 8),
            // Begun for the self-check.
            entry(8, 56),
            // Pairs of kprobes, two for a call.
            entry(16, 32) * 2,
        ];
        many(self.owners, tally())
            + many(self.namespaces, tally())
            + many(self.sockets, state())
            + many(self.calls, calls.iter().sum())
            + many(marks, entry(16, 8 * cpus as usize))
            + u64::from(self.ring_bytes)
    }

    /// Entries of the marks, one for each counter that is read in place.
    #[must_use]
    pub const fn marks(&self) -> u32 {
        self.namespaces.saturating_mul(MARKS_PER_NAMESPACE)
    }
}

fn tally() -> u64 {
    entry(size_of::<TallyKey>(), size_of::<TallyValue>())
}

fn state() -> u64 {
    entry(8, size_of::<SocketState>())
}

fn entry(key: usize, value: usize) -> u64 {
    ENTRY + (key.next_multiple_of(8) + value.next_multiple_of(8)) as u64
}

/// The largest ring within a number of bytes: a power of two, from a page to a megabyte.
fn ring(bytes: u64) -> u32 {
    let bytes = u32::try_from(bytes)
        .unwrap_or(u32::MAX)
        .clamp(4096, 1 << 20);
    1 << bytes.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_and_nearly_used_on_small_and_large_machines() {
        for cpus in [1, 2, 8, 64, 256, 1024] {
            let budget = default_budget(cpus);
            let sizes = Sizes::within(budget, cpus);
            let used = sizes.bytes(cpus);
            assert!(used <= budget, "{cpus} CPUs: {used} of {budget}");
            assert!(used > budget / 10 * 9, "{cpus} CPUs: {used} of {budget}");
            assert!(sizes.owners >= 1000 && sizes.sockets >= 4000, "{sizes:?}");
            assert!(sizes.calls >= 32 * cpus, "{sizes:?}");
        }
    }

    #[test]
    fn more_budget_is_more_of_everything_that_grows() {
        let (less, more) = (Sizes::within(8 << 20, 4), Sizes::within(64 << 20, 4));
        assert!(less.owners < more.owners && less.sockets < more.sockets);
        assert_eq!((less.calls, less.namespaces), (more.calls, more.namespaces));
        assert_eq!(more.ring_bytes, 1 << 20, "evidence is bounded");
    }

    #[test]
    fn a_budget_of_nothing_still_counts_and_says_what_it_takes() {
        let sizes = Sizes::within(0, 2);
        assert_eq!((sizes.owners, sizes.sockets), (FEWEST, FEWEST));
        assert_eq!(sizes.ring_bytes, 4096);
        assert!(sizes.bytes(2) > 0);
    }
}
