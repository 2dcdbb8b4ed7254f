//! How long prunes kept the CPU: from the buckets of the kernel programs to percentiles.

use hdrhistogram::Histogram;
use tracer_common::tally::stall::{BUCKETS, bounds};

/// Percentiles in nanoseconds, each within half a bucket (an eighth of its value) of the truth; beyond the
/// last bucket, 67 ms, they are a lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of the prunes took no longer.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1000.
    pub p999: u64,
    /// All of them.
    pub max: u64,
}

/// Percentiles of what the buckets hold; `None` when they are empty.
#[must_use]
pub fn percentiles(buckets: &[u64; BUCKETS]) -> Option<Percentiles> {
    // From 1 ns to 1 s with three digits: finer and wider than the buckets.
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 1_000_000_000, 3).ok()?;
    for (bucket, &count) in buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (start, end) = bounds(bucket);
        histogram.record_n(start.midpoint(end), count).ok()?;
    }
    (!histogram.is_empty()).then(|| Percentiles {
        p50: histogram.value_at_quantile(0.5),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_join_without_gap_from_a_microsecond_to_67_ms() {
        assert_eq!(bounds(0), (1024, 1280));
        assert_eq!(bounds(3), (1792, 2048));
        assert_eq!(bounds(BUCKETS - 1).1, 1 << 26);
        for bucket in 1..BUCKETS {
            assert_eq!(bounds(bucket - 1).1, bounds(bucket).0);
        }
    }

    #[test]
    fn percentiles_lie_in_the_bucket_of_their_rank() {
        let mut buckets = [0; BUCKETS];
        buckets[4] = 980;
        buckets[20] = 15;
        buckets[40] = 5;
        let found = percentiles(&buckets).unwrap();
        let within = |value: u64, bucket: usize| {
            let (start, end) = bounds(bucket);
            assert!(
                (start..end).contains(&value),
                "{value} is not in bucket {bucket}"
            );
        };
        within(found.p50, 4);
        within(found.p99, 20);
        within(found.p999, 40);
        within(found.max, 40);
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(percentiles(&[0; BUCKETS]), None);
    }
}
