//! The lab's own reading of the kernel's counters, `/proc/PID/net/netstat`, for one network namespace. It is written
//! apart from tcpress on purpose: expected values must not come from the program under test.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// The counters that tcpress accounts for, in the kernel's spelling.
pub const ACCOUNTED: [&str; 12] = [
    "TCPOFODrop",
    "TCPRcvQDrop",
    "PruneCalled",
    "RcvPruned",
    "OfoPruned",
    "TCPRcvCollapsed",
    "TCPZeroWindowDrop",
    "TCPBacklogDrop",
    "TCPAbortOnMemory",
    "TCPMemoryPressures",
    "TCPMemoryPressuresChrono",
    "ListenDrops",
];

/// One reading of all `TcpExt` counters of a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// Reads the counters of the network namespace that a process is in.
    pub fn of_pid(pid: u32) -> Result<Self> {
        Self::read(Path::new(&format!("/proc/{pid}/net/netstat")))
    }

    /// Reads the counters of the calling thread's network namespace.
    pub fn here() -> Result<Self> {
        Self::read(Path::new("/proc/thread-self/net/netstat"))
    }

    fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("no TcpExt counters in {}", path.display()))
    }

    /// Parses the pairs of lines `TcpExt: NAME…` and `TcpExt: VALUE…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("TcpExt: "));
        let (names, values) = (rows.next()?, rows.next()?);
        let pairs = names
            .split_ascii_whitespace()
            .zip(values.split_ascii_whitespace());
        let counters: Option<BTreeMap<_, _>> = pairs
            .map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect();
        counters.filter(|counters| !counters.is_empty()).map(Self)
    }

    /// One counter; an error where the kernel has none of that name.
    pub fn get(&self, name: &str) -> Result<u64> {
        self.0
            .get(name)
            .copied()
            .with_context(|| format!("this kernel has no counter {name}"))
    }

    /// How much each accounted counter grew since `before`.
    pub fn since(&self, before: &Self) -> Result<Delta> {
        let grown = ACCOUNTED.iter().map(|name| {
            let growth = self.get(name)?.checked_sub(before.get(name)?);
            Ok((*name, growth.with_context(|| format!("{name} fell"))?))
        });
        Ok(Delta(grown.collect::<Result<_>>()?))
    }
}

/// Growth of the accounted counters of one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta(BTreeMap<&'static str, u64>);

impl Delta {
    /// Growth of one accounted counter; 0 for a name that is not accounted for.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Name and growth of each accounted counter.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(name, value)| (*name, *value))
    }

    /// Refusals: segments thrown away because admission failed.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.get("TCPOFODrop") + self.get("TCPRcvQDrop")
    }
}

impl std::fmt::Display for Delta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{name} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "TcpExt: SyncookiesSent PruneCalled RcvPruned OfoPruned TCPRcvCollapsed TCPOFODrop TCPRcvQDrop TCPZeroWindowDrop TCPBacklogDrop TCPAbortOnMemory TCPMemoryPressures TCPMemoryPressuresChrono ListenDrops\n\
                          TcpExt: 0 1 2 3 4 5 6 0 0 0 0 0 0\nIpExt: InNoRoutes\nIpExt: 7\n";
    const AFTER: &str = "TcpExt: SyncookiesSent PruneCalled RcvPruned OfoPruned TCPRcvCollapsed TCPOFODrop TCPRcvQDrop TCPZeroWindowDrop TCPBacklogDrop TCPAbortOnMemory TCPMemoryPressures TCPMemoryPressuresChrono ListenDrops\n\
                         TcpExt: 0 11 2 3 4 25 36 0 0 0 0 0 0\n";

    #[test]
    fn growth_is_the_difference_of_two_readings() {
        let delta = Counters::parse(AFTER)
            .unwrap()
            .since(&Counters::parse(BEFORE).unwrap())
            .unwrap();
        assert_eq!(delta.get("PruneCalled"), 10);
        assert_eq!(delta.get("RcvPruned"), 0);
        assert_eq!(delta.refusals(), 20 + 30);
    }

    #[test]
    fn a_text_without_the_counters_is_refused() {
        assert_eq!(Counters::parse("IpExt: a\nIpExt: 1\n"), None);
        assert_eq!(Counters::parse("TcpExt: PruneCalled\nTcpExt: x\n"), None);
        assert_eq!(Counters::parse(""), None);
    }

    #[test]
    fn a_counter_that_fell_is_an_error_and_no_number() {
        let (before, after) = (
            Counters::parse(BEFORE).unwrap(),
            Counters::parse(AFTER).unwrap(),
        );
        assert!(before.since(&after).is_err());
    }
}
