//! What the kernel let us see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reconciliation;
use crate::{kernel::plan, probe::Sizes};

/// What tcpress does on this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Plan {
    /// Why nothing was traced; null when something was.
    pub impossible: Option<String>,
    /// Every probe, attached or not.
    pub probes: Vec<Probe>,
    /// How well each counter is seen.
    pub counters: Vec<CounterSight>,
    /// What this kernel does not let us see, in words.
    pub notes: Vec<String>,
    /// The maps in the kernel; null when nothing was loaded.
    pub maps: Option<Maps>,
}

/// The maps of the kernel programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Maps {
    /// Memory that they take, as the kernel accounts it; null where it does not say.
    pub bytes: Option<u64>,
    /// What was reckoned that they would take.
    pub reckoned_bytes: u64,
    /// CPUs that the machine may ever have, which per-CPU maps are multiplied by.
    pub possible_cpus: u32,
    /// Owners that are counted each for itself.
    pub owners: u32,
    /// Network namespaces whose rest is counted each for itself.
    pub namespaces: u32,
    /// Sockets whose share of the counts is kept.
    pub sockets: u32,
    /// Calls that can be followed at one time.
    pub calls: u32,
    /// Bytes of the buffer for evidence.
    pub ring_bytes: u32,
}

impl Maps {
    /// Maps of these sizes that take so many bytes.
    #[must_use]
    pub fn new(sizes: &Sizes, cpus: u32, bytes: Option<u64>) -> Self {
        Self {
            bytes,
            reckoned_bytes: sizes.bytes(cpus),
            possible_cpus: cpus,
            owners: sizes.owners,
            namespaces: sizes.namespaces,
            sockets: sizes.sockets,
            calls: sizes.calls,
            ring_bytes: sizes.ring_bytes,
        }
    }
}

/// One probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Probe {
    /// Kernel function or tracepoint.
    pub hook: String,
    /// How it is attached: `fentry`, `fexit` or `tp_btf`.
    pub flavour: String,
    /// Programs that go there.
    pub programs: Vec<String>,
    /// Why it is not attached; null when it is.
    pub missing: Option<String>,
}

/// How well a counter is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CounterSight {
    /// Name in `/proc/net/netstat`.
    pub counter: String,
    /// How well.
    pub sight: Sight,
    /// Why it is not exact; null when it is.
    pub why: Option<String>,
}

/// How well something is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Counted as the kernel counts.
    Exact,
    /// Inferred; it may differ from the kernel's count.
    Derived,
    /// Not seen.
    #[default]
    Blind,
}

impl Sight {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Derived => "derived",
            Self::Blind => "blind",
        }
    }
}

impl From<plan::Sight> for Sight {
    fn from(sight: plan::Sight) -> Self {
        match sight {
            plan::Sight::Exact => Self::Exact,
            plan::Sight::Derived => Self::Derived,
            plan::Sight::Blind => Self::Blind,
        }
    }
}

impl From<&plan::Plan> for Plan {
    fn from(plan: &plan::Plan) -> Self {
        let probe = |probe: &plan::Probe| Probe {
            hook: probe.hook.clone(),
            flavour: probe.flavour.name().to_owned(),
            programs: probe.programs.clone(),
            missing: probe.missing.clone(),
        };
        let counter = |counter: &plan::CounterSight| CounterSight {
            counter: counter.counter.name().to_owned(),
            sight: counter.sight.into(),
            why: counter.why.clone(),
        };
        Self {
            impossible: plan.impossible.clone(),
            probes: plan.probes.iter().map(probe).collect(),
            counters: plan.counters.iter().map(counter).collect(),
            notes: plan.notes.clone(),
            maps: None,
        }
    }
}

impl Plan {
    /// The same plan, judged by its outcome: no counter stays exact beside a residual that is not 0.
    #[must_use]
    pub fn judged(mut self, rows: &[Reconciliation]) -> Self {
        for counter in &mut self.counters {
            let off = rows.iter().find(|row| {
                let beyond = |residual: i64| residual.unsigned_abs() > row.bound.unwrap_or(0);
                row.counter == counter.counter && row.residual.is_some_and(beyond)
            });
            if let (Sight::Exact, Some(row)) = (counter.sight, off) {
                counter.sight = Sight::Derived;
                counter.why = Some(format!(
                    "the plan called it exact, and in netns {} its residual is {}",
                    row.netns,
                    row.residual.unwrap_or_default()
                ));
            }
        }
        self
    }
}
