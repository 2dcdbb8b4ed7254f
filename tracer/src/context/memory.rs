//! Memory of a cgroup: usage, limits, events and reclaim (`Documentation/admin-guide/cgroup-v2.rst`), and what v1 hosts have of it
//! (`cgroup-v1/memory.rst`). Pure.

use super::{field, rise};
use crate::indicators::{memcg::Events, netstat::number};

/// From this on a limit of v1 is none: the kernel writes the largest number of whole pages (`PAGE_COUNTER_MAX`).
const NO_LIMIT_V1: u64 = i64::MAX as u64 / 4096 * 4096;

/// Memory of a cgroup at one time. `None` where the kernel does not tell, as without the controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// What is charged to it.
    pub usage_bytes: Option<u64>,
    /// Its hard limit; `None` also when it has none.
    pub max_bytes: Option<u64>,
    /// `memory.high`; `None` also when it has none.
    pub high_bytes: Option<u64>,
}

impl Usage {
    /// Reads `memory.current`, `memory.max` and `memory.high`.
    #[must_use]
    pub fn parse(current: &str, max: &str, high: &str) -> Self {
        Self {
            usage_bytes: number(current.trim()),
            max_bytes: number(max.trim()),
            high_bytes: number(high.trim()),
        }
    }

    /// Reads `memory.usage_in_bytes` and `memory.limit_in_bytes` of v1.
    #[must_use]
    pub fn parse_v1(usage: &str, limit: &str) -> Self {
        Self {
            usage_bytes: number(usage.trim()),
            max_bytes: number(limit.trim()).filter(|limit| *limit < NO_LIMIT_V1),
            high_bytes: None,
        }
    }

    /// How full it is, 0 at nothing and 1 at its lowest limit; `None` without one.
    #[must_use]
    pub fn fill(&self) -> Option<f64> {
        let limit = [self.max_bytes, self.high_bytes]
            .into_iter()
            .flatten()
            .min()?;
        super::share(self.usage_bytes?, limit)
    }
}

/// What was done to find memory, at one time, or the difference of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaim {
    /// Pages looked at.
    pub scanned_pages: Option<u64>,
    /// Pages freed.
    pub reclaimed_pages: Option<u64>,
    /// Pages that were freed and soon needed again.
    pub refaulted_pages: Option<u64>,
    /// Page faults that needed a disk.
    pub major_faults: Option<u64>,
}

impl Reclaim {
    /// Reads `memory.stat`. Before 5.9 one line has all refaults.
    #[must_use]
    pub fn parse(stat: &str) -> Self {
        let split = ["workingset_refault_anon", "workingset_refault_file"];
        let split = split.map(|name| field(stat, name));
        let refaulted = match split {
            [None, None] => field(stat, "workingset_refault"),
            some => Some(some.into_iter().flatten().fold(0, u64::saturating_add)),
        };
        Self {
            scanned_pages: field(stat, "pgscan"),
            reclaimed_pages: field(stat, "pgsteal"),
            refaulted_pages: refaulted,
            major_faults: field(stat, "pgmajfault"),
        }
    }

    /// Reads `memory.stat` of v1, which says nothing of reclaim.
    #[must_use]
    pub fn parse_v1(stat: &str) -> Self {
        Self {
            major_faults: field(stat, "total_pgmajfault"),
            ..Self::default()
        }
    }

    /// How far it has risen.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            scanned_pages: rise(self.scanned_pages, before.scanned_pages),
            reclaimed_pages: rise(self.reclaimed_pages, before.reclaimed_pages),
            refaulted_pages: rise(self.refaulted_pages, before.refaulted_pages),
            major_faults: rise(self.major_faults, before.major_faults),
        }
    }
}

/// The events of v1: `memory.failcnt` are charges that met the limit, and `memory.oom_control` counts kills.
#[must_use]
pub fn events_v1(failcnt: &str, oom_control: &str) -> Events {
    Events {
        max: number(failcnt.trim()),
        oom_kill: field(oom_control, "oom_kill"),
        ..Events::default()
    }
}

/// How far events have risen; what was not counted before is not known.
#[must_use]
pub fn events_since(now: Events, before: Events) -> Events {
    Events {
        high: rise(now.high, before.high),
        max: rise(now.max, before.max),
        oom: rise(now.oom, before.oom),
        oom_kill: rise(now.oom_kill, before.oom_kill),
        sock_throttled: rise(now.sock_throttled, before.sock_throttled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_says_how_full_it_is() {
        let of = |max: &str, high: &str| Usage::parse("50\n", max, high).fill();
        assert_eq!(of("100\n", "max\n"), Some(0.5));
        assert_eq!(of("200\n", "80\n"), Some(0.625));
        assert_eq!(of("max\n", "max\n"), None);
        assert_eq!(of("0\n", "max\n"), None);
        assert_eq!(Usage::parse("", "100", "").fill(), None);
    }

    #[test]
    fn a_limit_that_is_none_is_absent_on_v1() {
        assert_eq!(
            Usage::parse_v1("1\n", "9223372036854771712\n").max_bytes,
            None
        );
        assert_eq!(Usage::parse_v1("1\n", "1048576\n").max_bytes, Some(1 << 20));
    }

    #[test]
    fn refaults_are_summed_or_stand_alone() {
        let of = |stat: &str| Reclaim::parse(stat).refaulted_pages;
        assert_eq!(
            of("workingset_refault_anon 3\nworkingset_refault_file 4\n"),
            Some(7)
        );
        assert_eq!(of("workingset_refault 9\n"), Some(9));
        assert_eq!(of("pgscan 1\n"), None);
        let stat = Reclaim::parse("pgscan 10\npgscan_kswapd 1\npgsteal 8\npgmajfault x\n");
        assert_eq!(
            (stat.scanned_pages, stat.reclaimed_pages),
            (Some(10), Some(8))
        );
        assert_eq!(stat.major_faults, None);
    }

    #[test]
    fn events_of_v1_are_those_that_it_counts() {
        let events = events_v1("25\n", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
        assert_eq!(
            (events.max, events.oom_kill, events.high),
            (Some(25), Some(1), None)
        );
        let before = Events {
            max: Some(20),
            ..Events::default()
        };
        let since = events_since(events, before);
        assert_eq!((since.max, since.oom_kill), (Some(5), None));
    }
}
