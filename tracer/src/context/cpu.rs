//! CPU time of a cgroup: `cpu.stat` and `cpu.max`, and on v1 hosts `cpu.stat`, `cpu.cfs_quota_us` and `cpuacct.usage`
//! (`Documentation/admin-guide/cgroup-v2.rst`, `Documentation/scheduler/sched-bwc.rst`). Pure.

use super::{MICROSECOND, field, rise};
use crate::indicators::netstat::number;

/// CPU time at one time, or the difference of two. `None` where the kernel does not tell, as without the controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Used, in nanoseconds.
    pub usage_ns: Option<u64>,
    /// Enforcement periods in which its tasks wanted to run.
    pub periods: Option<u64>,
    /// Of these, periods in which its quota ran out.
    pub throttled_periods: Option<u64>,
    /// Time for which it was throttled, summed over CPUs, in nanoseconds.
    pub throttled_ns: Option<u64>,
}

impl CpuTime {
    /// Reads `cpu.stat` of the v2 hierarchy.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let nanoseconds = |name| field(text, name)?.checked_mul(MICROSECOND);
        Self {
            usage_ns: nanoseconds("usage_usec"),
            periods: field(text, "nr_periods"),
            throttled_periods: field(text, "nr_throttled"),
            throttled_ns: nanoseconds("throttled_usec"),
        }
    }

    /// Reads `cpu.stat` and `cpuacct.usage` of v1 hierarchies.
    #[must_use]
    pub fn parse_v1(stat: &str, usage: &str) -> Self {
        Self {
            usage_ns: number(usage.trim()),
            periods: field(stat, "nr_periods"),
            throttled_periods: field(stat, "nr_throttled"),
            throttled_ns: field(stat, "throttled_time"),
        }
    }

    /// How far it has risen.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            usage_ns: rise(self.usage_ns, before.usage_ns),
            periods: rise(self.periods, before.periods),
            throttled_periods: rise(self.throttled_periods, before.throttled_periods),
            throttled_ns: rise(self.throttled_ns, before.throttled_ns),
        }
    }
}

/// Reads `cpu.max`, `QUOTA PERIOD`: a number of CPUs; `None` when there is no quota.
#[must_use]
pub fn quota(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    cpus(words.next()?, words.next()?)
}

/// A number of CPUs from a quota and a period in microseconds, as they stand in `cpu.cfs_quota_us` (-1 where there is none) and
/// `cpu.cfs_period_us`.
#[must_use]
pub fn cpus(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (number(quota.trim())?, number(period.trim())?);
    #[allow(clippy::cast_precision_loss, reason = "microseconds of a second")]
    let cpus = quota as f64 / period as f64;
    (period > 0).then_some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hierarchies_give_nanoseconds() {
        let v2 = CpuTime::parse(
            "usage_usec 1500\nuser_usec 9\nnr_periods 100\nnr_throttled 83\nthrottled_usec 70\n",
        );
        assert_eq!(
            (v2.usage_ns, v2.throttled_ns),
            (Some(1_500_000), Some(70_000))
        );
        assert_eq!((v2.periods, v2.throttled_periods), (Some(100), Some(83)));
        let v1 = CpuTime::parse_v1(
            "nr_periods 100\nnr_throttled 83\nthrottled_time 70000\n",
            "1500000\n",
        );
        assert_eq!(v1, v2);
    }

    #[test]
    fn without_the_controller_only_usage_is_there() {
        let bare = CpuTime::parse("usage_usec 7\nuser_usec 3\nsystem_usec 4\n");
        assert_eq!(bare.usage_ns, Some(7_000));
        assert_eq!(bare.periods, None);
        assert_eq!(
            bare.since(&CpuTime::default()),
            CpuTime::default(),
            "one reading is no rise"
        );
        let huge =
            CpuTime::parse("usage_usec 18446744073709551615\nnr_periods -1\nnr_throttled 0x3\n");
        assert_eq!(huge, CpuTime::default());
    }

    #[test]
    fn a_rise_is_the_difference_and_a_fall_a_new_beginning() {
        let of = |periods| CpuTime {
            periods: Some(periods),
            ..CpuTime::default()
        };
        assert_eq!(of(150).since(&of(50)).periods, Some(100));
        assert_eq!(of(20).since(&of(50)).periods, Some(20));
    }

    #[test]
    fn a_quota_is_a_number_of_cpus() {
        assert_eq!(quota("20000 100000\n"), Some(0.2));
        assert_eq!(cpus("150000", "100000"), Some(1.5));
        for none in ["max 100000\n", "", "20000", "20000 0", "-1 100000", "x y"] {
            assert_eq!(quota(none), None, "{none:?}");
        }
    }
}
