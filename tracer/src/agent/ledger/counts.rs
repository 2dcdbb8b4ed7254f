//! What happened to one owner, in the cells that metrics show.

use tracer_common::{
    TallyValue,
    tally::{count, limit, queue, slot, stall},
};

/// Names of the queues, in the order of [`Counts::refusals`].
pub const QUEUES: [&str; 3] = ["rcv", "ofo", "send_rcvq"];

/// Names of the limits, in the order of [`Counts::prunes`] and of each queue's refusals.
pub const LIMITS: [&str; 4] = ["rcvbuf", "tcp_mem", "memcg", "unknown"];

/// Upper bounds of the buckets of stalls, in nanoseconds: powers of four from 4.096 µs to 16.8 ms, and where the last bucket of
/// the kernel programs begins (58.7 ms). That bucket holds whatever was longer too, so nothing is known to be below its end.
pub const STALL_BOUNDS: [u64; 8] = [
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
    stall::bounds(stall::BUCKETS - 1).0,
];

/// What a limit of the kernel programs is called in metrics, as an index of [`LIMITS`].
const fn limit_index(of: usize) -> usize {
    match of {
        limit::RCVBUF => 0,
        limit::TCP_MEM_HARD | limit::TCP_MEM_FAIR_SHARE => 1,
        limit::MEMCG_V2 | limit::MEMCG_V1_TCPMEM => 2,
        _ => 3,
    }
}

/// The bucket of metrics that a bucket of the kernel programs lies in. Their bounds are among those, so each lies in one.
fn stall_index(bucket: usize) -> usize {
    let (_, end) = stall::bounds(bucket);
    STALL_BOUNDS.partition_point(|&bound| bound < end)
}

/// Sums since the agent began. All of them only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Segments thrown away because admission failed, by [`QUEUES`] and [`LIMITS`].
    pub refusals: [[u64; LIMITS.len()]; QUEUES.len()],
    /// Calls of the prune path, by [`LIMITS`].
    pub prunes: [u64; LIMITS.len()],
    /// Skbs merged while queues were compacted.
    pub collapsed_skbs: u64,
    /// Prunes that gave up.
    pub rcv_pruned: u64,
    /// Calls that threw out-of-order skbs away.
    pub ofo_prunes: u64,
    /// Memory of these skbs, in bytes of `truesize`.
    pub ofo_pruned_bytes: u64,
    /// Segments that were queued although their admission failed.
    pub forced_admissions: u64,
    /// Segments that arrived while the window was 0.
    pub zero_window_drops: u64,
    /// Segments that found the socket in use and its backlog full.
    pub backlog_drops: u64,
    /// Connections ended for want of memory.
    pub aborts_on_memory: u64,
    /// Connections thrown away at a listener.
    pub listen_drops: u64,
    /// Prunes by how long they kept the CPU: up to each of [`STALL_BOUNDS`], and longer.
    pub stalls: [u64; STALL_BOUNDS.len() + 1],
    /// The time that they kept it, in nanoseconds.
    pub stall_ns: u64,
}

impl Counts {
    /// Adds what a tally counted.
    pub fn add(&mut self, value: &TallyValue) {
        let plus = |to: &mut u64, by: u64| *to = to.saturating_add(by);
        for (at, of) in [queue::RCV, queue::OFO, queue::SEND_RCVQ]
            .into_iter()
            .enumerate()
        {
            for limit in 0..limit::COUNT {
                let by = value.verdicts[slot(of, limit)];
                plus(&mut self.refusals[at][limit_index(limit)], by);
            }
        }
        for (limit, &by) in value.prunes.iter().enumerate() {
            plus(&mut self.prunes[limit_index(limit)], by);
        }
        for (bucket, &by) in value.stalls.iter().enumerate() {
            plus(&mut self.stalls[stall_index(bucket)], by);
        }
        let counts = &value.counts;
        for (to, by) in [
            (&mut self.collapsed_skbs, value.rcv_collapsed),
            (&mut self.rcv_pruned, value.rcv_pruned),
            (&mut self.ofo_prunes, value.ofo_pruned),
            (&mut self.ofo_pruned_bytes, counts[count::OFO_PRUNED_BYTES]),
            (
                &mut self.forced_admissions,
                value.verdicts_of(queue::FORCED),
            ),
            (
                &mut self.zero_window_drops,
                counts[count::ZERO_WINDOW_DROPS],
            ),
            (&mut self.backlog_drops, counts[count::BACKLOG_DROPS]),
            (&mut self.aborts_on_memory, counts[count::ABORTS_ON_MEMORY]),
            (&mut self.listen_drops, counts[count::LISTEN_DROPS]),
            (&mut self.stall_ns, value.stall_ns),
        ] {
            plus(to, by);
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Prunes whose time was measured.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.stalls
            .iter()
            .fold(0, |sum, &by| sum.saturating_add(by))
    }

    /// Refusals, prunes, drops and aborts together.
    #[must_use]
    pub fn events(&self) -> u64 {
        let refusals = self.refusals.iter().flatten();
        let drops = [
            self.zero_window_drops,
            self.backlog_drops,
            self.aborts_on_memory,
            self.listen_drops,
        ];
        refusals
            .chain(&self.prunes)
            .chain(&drops)
            .fold(0, |sum, &by| sum.saturating_add(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_keep_their_queue_and_lose_their_detail() {
        let mut value = TallyValue::ZERO;
        // A different power of two in each cell: no two sums can be mistaken for one another.
        for (cell, verdict) in value.verdicts.iter_mut().enumerate() {
            *verdict = 1 << cell;
        }
        let at = |queue: usize, limit: usize| 1_u64 << slot(queue, limit);
        let mut counts = Counts::default();
        counts.add(&value);
        for (index, of) in [queue::RCV, queue::OFO, queue::SEND_RCVQ]
            .into_iter()
            .enumerate()
        {
            let want = [
                at(of, limit::RCVBUF),
                at(of, limit::TCP_MEM_HARD) + at(of, limit::TCP_MEM_FAIR_SHARE),
                at(of, limit::MEMCG_V2) + at(of, limit::MEMCG_V1_TCPMEM),
                at(of, limit::UNKNOWN),
            ];
            assert_eq!(counts.refusals[index], want);
        }
        assert_eq!(counts.forced_admissions, value.verdicts_of(queue::FORCED));
        let refusals: u64 = counts.refusals.iter().flatten().sum();
        assert_eq!(counts.events(), refusals, "none for forced ones");
    }

    #[test]
    fn each_bound_has_below_it_exactly_what_the_kernel_programs_say_is_below_it() {
        let mut value = TallyValue::ZERO;
        value.stalls = std::array::from_fn(|bucket| bucket as u64 + 1);
        value.stall_ns = 99;
        let mut counts = Counts::default();
        counts.add(&value);
        let mut below = 0;
        for (index, bound) in STALL_BOUNDS.into_iter().enumerate() {
            below += counts.stalls[index];
            // Four buckets to each power of two from 2^10 on: by arithmetic, not by their table.
            let buckets = match bound.is_power_of_two() {
                true => 4 * (u64::from(bound.ilog2()) - 10),
                false => 63,
            };
            assert_eq!(below, buckets * (buckets + 1) / 2, "{bound}");
        }
        assert_eq!(counts.stalls[8], 64, "the last bucket has no end");
        assert_eq!(counts.stalled(), 64 * 65 / 2);
        assert_eq!(counts.stall_ns, 99);
    }

    #[test]
    fn what_metrics_do_not_show_is_nothing() {
        let mut value = TallyValue::ZERO;
        value.counts[count::MEMORY_PRESSURES] = 5;
        value.verdicts[slot(queue::ADMITTED, limit::RCVBUF)] = 5;
        value.suppressed = 5;
        let mut counts = Counts::default();
        counts.add(&value);
        assert!(counts.is_zero());
    }

    #[test]
    fn a_sum_that_is_full_stays_full() {
        let full = TallyValue {
            rcv_pruned: u64::MAX,
            ..TallyValue::ZERO
        };
        let mut counts = Counts::default();
        counts.add(&full);
        counts.add(&full);
        assert_eq!(counts.rcv_pruned, u64::MAX);
    }
}
