//! What a plan consists of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::indicators::Counter;

/// How well something is seen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Counted as the kernel counts.
    Exact,
    /// Inferred; it may differ from the kernel's count.
    Derived,
    /// Not seen.
    Blind,
}

/// How a probe is attached.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// BTF trampoline at the entry.
    Fentry,
    /// BTF trampoline at the exit.
    Fexit,
    /// BTF raw tracepoint.
    TpBtf,
    /// Breakpoint at the entry.
    Kprobe,
    /// The same, with one where the function returns.
    Kretprobe,
}

impl Flavour {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::TpBtf => "tp_btf",
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
        }
    }
}

/// How functions are probed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    clap::ValueEnum,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProbeFlavour {
    /// By BPF trampolines (fentry and fexit): exact, and the cheapest.
    #[default]
    Fentry,
    /// By kprobes and kretprobes, for kernels without trampolines.
    Kprobe,
}

/// One probe of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// Kernel function or tracepoint.
    pub hook: String,
    /// How it is attached.
    pub flavour: Flavour,
    /// Programs of the kernel object that go there; empty when it is not attached.
    pub programs: Vec<String>,
    /// Why it is not attached.
    pub missing: Option<String>,
    /// Whether an event that none of its programs saw is missing from a count.
    pub counts: bool,
}

/// What is known of one counter, and why not more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CounterSight {
    /// Which counter.
    pub counter: Counter,
    /// How well it is seen.
    pub sight: Sight,
    /// Why it is not exact.
    pub why: Option<String>,
}
