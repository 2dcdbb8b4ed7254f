//! The answer of `tcpress doctor`: what this kernel allows, the plan, its price.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Node, Plan};
use crate::{agent::privileges::Need, kernel::Facts, probe::Price as Measured};

/// Name and version of the document.
pub const SCHEMA: &str = "tcpress.doctor/v1";

/// What this kernel allows, the plan that follows, and its price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checkup {
    /// Always `tcpress.doctor/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Version of tcpress that wrote it.
    pub tcpress: String,
    /// Where it was asked.
    pub node: Node,
    /// Whether anything can be traced.
    pub can_trace: bool,
    /// What was found out.
    pub checks: Vec<Check>,
    /// The plan, as the kernel took it.
    pub plan: Plan,
    /// What the programs cost while they are loaded; null when they could not be loaded.
    pub price: Option<Price>,
    /// Capabilities that tcpress needs, and whether this process holds them; empty where the kernel does not tell.
    #[serde(default)]
    pub privileges: Vec<Privilege>,
    /// Capabilities that are held and not needed; those that have no name here by their numbers.
    #[serde(default)]
    pub privileges_not_needed: Vec<String>,
}

/// A capability, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Privilege {
    /// As it is called: `CAP_BPF`.
    pub capability: String,
    /// Whether this process holds it.
    pub held: bool,
    /// What it is for.
    pub why: String,
    /// When the agent needs it.
    pub when: String,
}

/// One thing that tracing needs, or is better with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// What was found, and what to do where it is not good.
    pub found: String,
}

/// What the programs cost while they are loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// Programs attached.
    pub programs: u64,
    /// Instructions that the verifier walked, over all programs; null where the kernel does not say.
    pub verified_instructions: Option<u64>,
    /// Machine code, in bytes.
    pub code_bytes: u64,
    /// Maps, in bytes as the kernel accounts them; null where it does not say.
    pub map_bytes: Option<u64>,
    /// Program by program.
    #[serde(default)]
    pub by_program: Vec<ProgramPrice>,
}

/// What one program costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgramPrice {
    /// Its name in the plan.
    pub program: String,
    /// Instructions that the verifier walked, of 1,000,000 that it would at most; null where the kernel does not say.
    pub verified_instructions: Option<u64>,
    /// Machine code, in bytes.
    pub code_bytes: u64,
}

impl From<&Measured> for Price {
    fn from(price: &Measured) -> Self {
        let programs = price.programs.values();
        let by_program = price.programs.iter().map(|(name, price)| ProgramPrice {
            program: name.clone(),
            verified_instructions: price.verified_instructions,
            code_bytes: price.code_bytes,
        });
        Self {
            programs: price.programs.len() as u64,
            verified_instructions: programs.clone().map(|it| it.verified_instructions).sum(),
            code_bytes: programs.map(|it| it.code_bytes).sum(),
            map_bytes: price.map_bytes,
            by_program: by_program.collect(),
        }
    }
}

impl Privilege {
    /// One that is needed, as this process has it.
    #[must_use]
    pub fn of(need: &Need, held: bool) -> Self {
        Self {
            capability: need.name.to_owned(),
            held,
            why: need.why.to_owned(),
            when: need.when.words().to_owned(),
        }
    }
}

/// What the facts of a kernel mean for tracing, in words.
#[must_use]
pub fn checks(facts: &Facts) -> Vec<Check> {
    let check = |name: &str, good: bool, found: String| Check {
        name: name.to_owned(),
        good,
        found,
    };
    let (types, layout) = match &facts.types {
        Ok(types) => {
            let absent = &types.resolved.absent;
            let layout = if absent.is_empty() {
                "every field that is read was found".to_owned()
            } else {
                // Kernels spell some fields in one of two ways; the plan says which absence matters.
                format!(
                    "not on this kernel, or in another form: {}",
                    absent.join(", ")
                )
            };
            (
                check("BTF", true, "the kernel describes its types".to_owned()),
                Some(layout),
            )
        }
        Err(why) => (check("BTF", false, why.clone()), None),
    };
    let mut checks = vec![types];
    checks.extend(layout.map(|found| check("fields", true, found)));
    checks.push(check(
        "right to trace",
        facts.may_trace,
        if facts.may_trace {
            "CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON"
        } else {
            "neither CAP_SYS_ADMIN nor both CAP_BPF and CAP_PERFMON: run as root, or grant them"
        }
        .to_owned(),
    ));
    checks.push(check(
        "right to enter network namespaces",
        facts.may_enter_netns,
        if facts.may_enter_netns {
            "CAP_SYS_ADMIN"
        } else {
            "no CAP_SYS_ADMIN: holders and counters of other namespaces are read from /proc, where they show"
        }
        .to_owned(),
    ));
    checks.push(match facts.lockdown.as_deref() {
        None | Some("none") => check("lockdown", true, "none".to_owned()),
        Some("confidentiality") => {
            let found =
                "confidentiality: no program may read kernel memory; boot with lockdown=integrity";
            check("lockdown", false, found.to_owned())
        }
        Some(mode) => check("lockdown", true, format!("{mode}: tracing is allowed")),
    });
    checks.push(match &facts.symbols {
        Some(_) => check(
            "kallsyms",
            true,
            "the kernel names its functions".to_owned(),
        ),
        None => check(
            "kallsyms",
            false,
            "cannot be read: why a function cannot be probed cannot be told".to_owned(),
        ),
    });
    checks
}
