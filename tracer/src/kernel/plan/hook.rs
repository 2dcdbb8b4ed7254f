//! What a hook of the plan is, and on which kernels.

use super::{
    super::facts::{Facts, Types},
    Flavour, Sight,
};
use crate::indicators::Counter;

/// One hook that the plan knows, and the programs for it by number of arguments.
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) flavour: Flavour,
    /// Number of arguments in BTF, and the program that reads it so.
    pub(super) programs: &'static [(usize, &'static str)],
    /// Whether there are two copies of each program.
    pub(super) doubled: bool,
    /// Whether an event that no program of this hook saw is missing from a count.
    pub(super) counts: bool,
    /// Which kernels it is for.
    pub(super) on: On,
    /// Counters that are not exact without it.
    pub(super) needed_by: &'static [(Counter, Sight)],
    /// What is lost without it, beyond counters.
    pub(super) otherwise: Option<&'static str>,
    /// Another hook that does its work on other kernels.
    pub(super) unless: Option<&'static str>,
}

impl Hook {
    pub(super) const fn new(
        name: &'static str,
        flavour: Flavour,
        programs: &'static [(usize, &'static str)],
    ) -> Self {
        Self {
            name,
            flavour,
            programs,
            doubled: false,
            counts: false,
            on: On::Every,
            needed_by: &[],
            otherwise: None,
            unless: None,
        }
    }

    /// With two copies of each program.
    pub(super) const fn doubled(mut self) -> Self {
        self.doubled = true;
        self.counts = true;
        self
    }

    /// With two copies of each program, of which no count depends.
    pub(super) const fn labelling_twice(mut self) -> Self {
        self.doubled = true;
        self
    }

    pub(super) const fn counting(mut self) -> Self {
        self.counts = true;
        self
    }

    pub(super) const fn on(mut self, on: On) -> Self {
        self.on = on;
        self
    }

    pub(super) const fn needed_by(mut self, counters: &'static [(Counter, Sight)]) -> Self {
        self.needed_by = counters;
        self
    }

    pub(super) const fn otherwise(mut self, words: &'static str) -> Self {
        self.otherwise = Some(words);
        self
    }

    pub(super) const fn unless(mut self, other: &'static str) -> Self {
        self.unless = Some(other);
        self
    }
}

/// The kernels that a hook is for. On others it is no part of the plan.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// All of them.
    Every,
    /// Those that give a reason for the drops that are looked for (5.18 and later).
    WithReasons,
    /// Those that do not.
    WithoutReasons,
    /// All, but it reads the kernel's own counters in place.
    ReadingCounters,
    /// Those with Multipath TCP, as above.
    WithMptcpReadingCounters,
    /// Those where Multipath TCP refuses segments itself, as above.
    MptcpRefusesReadingCounters,
}

impl On {
    /// Whether this kernel is one of them.
    pub(super) fn includes(self, types: &Types) -> bool {
        let has = |name: &str| !types.resolved.absent.contains(&name);
        let reasons = has("reason_zero_window") && has("reason_ofo_prune");
        match self {
            Self::Every | Self::ReadingCounters => true,
            Self::WithReasons => reasons && types.tracepoints.contains(&"kfree_skb"),
            Self::WithoutReasons => !Self::WithReasons.includes(types),
            Self::WithMptcpReadingCounters => has("tcp_is_mptcp"),
            Self::MptcpRefusesReadingCounters => types.mptcp_refuses,
        }
    }

    /// Why it cannot work here although the function is there.
    pub(super) fn hindered(self, facts: &Facts, types: &Types) -> Option<String> {
        let reads_none = matches!(self, Self::Every | Self::WithReasons | Self::WithoutReasons);
        let addresses = facts.addresses;
        if reads_none {
            None
        } else if addresses.per_cpu_offset == 0 || addresses.tcp_memory_pressure == 0 {
            let unknown = "/proc/kallsyms does not tell where the kernel's counters are; \
                           give it CAP_SYSLOG, and set kernel.kptr_restrict to 1 or 0";
            Some(unknown.to_owned())
        } else {
            let needed = [
                "net_mib",
                "mib_listen_drops",
                "mib_rcvq_drop",
                "mib_pressures",
                "mib_pressures_ms",
            ];
            let lacks = needed
                .into_iter()
                .find(|name| types.resolved.absent.contains(name))?;
            Some(format!(
                "this kernel keeps its counters in a way that is not known: no {lacks}"
            ))
        }
    }
}
