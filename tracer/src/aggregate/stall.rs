//! How long prunes kept the CPU: from the buckets of the kernel programs to percentiles.

use std::time::Duration;

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

/// The first bucket in which nothing was shorter than this.
#[must_use]
pub fn first_bucket_from(time: Duration) -> usize {
    let from = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    // The first bucket holds what was shorter too, whatever its bounds.
    (0..BUCKETS)
        .find(|&bucket| from == 0 || (bucket > 0 && bounds(bucket).0 >= from))
        .unwrap_or(BUCKETS - 1)
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
    fn the_first_bucket_of_what_took_so_long_holds_nothing_shorter() {
        let of = |nanos| first_bucket_from(Duration::from_nanos(nanos));
        assert_eq!(of(0), 0);
        assert_eq!(of(1), 1);
        assert_eq!(of(1280), 1);
        assert_eq!(of(1281), 2);
        assert_eq!(bounds(of(10_000_000)).0, (1 << 23) + (1 << 21));
        // Beyond the last bucket it is all that is known.
        assert_eq!(of(1 << 30), BUCKETS - 1);
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
