//! From facts to probes: what is attached, and what is therefore exact, derived or blind. Pure.

use crate::indicators::Counter;

/// How well something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sight {
    /// Counted as the kernel counts.
    Exact,
    /// Inferred; it may differ from the kernel's count.
    Derived,
    /// Not seen.
    Blind,
}

/// How a probe is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavour {
    /// BTF trampoline at the entry.
    Fentry,
    /// BTF trampoline at the exit.
    Fexit,
    /// BTF raw tracepoint.
    TpBtf,
}

impl Flavour {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::TpBtf => "tp_btf",
        }
    }
}

/// One probe of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Kernel function or tracepoint.
    pub hook: String,
    /// How it is attached.
    pub flavour: Flavour,
    /// Programs of the kernel object that go there; empty when it is not attached.
    pub programs: Vec<String>,
    /// Why it is not attached.
    pub missing: Option<String>,
}

/// What is known of one counter, and why not more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterSight {
    /// Which counter.
    pub counter: Counter,
    /// How well it is seen.
    pub sight: Sight,
    /// Why it is not exact.
    pub why: Option<String>,
}

/// What tcpress does on this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every probe, attached or not.
    pub probes: Vec<Probe>,
    /// Every counter.
    pub counters: Vec<CounterSight>,
    /// Why nothing is traced at all; then every counter is blind and the answer comes from counters alone.
    pub impossible: Option<String>,
    /// What this kernel does not let us see, in words.
    pub notes: Vec<String>,
}
