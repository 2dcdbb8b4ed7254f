//! From facts to probes: what is attached, and what is therefore exact, derived or blind. Pure.

mod choice;
mod hook;
mod hooks;
mod model;

use choice::{missing, probe};
use hook::Hook;
use hooks::HOOKS;
pub use model::{CounterSight, Flavour, Probe, ProbeFlavour, Sight};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    facts::{Facts, Types},
    layout,
};
use crate::indicators::Counter;

/// What tcpress does on this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Every probe, attached or not.
    pub probes: Vec<Probe>,
    /// Every counter.
    pub counters: Vec<CounterSight>,
    /// How functions are probed.
    pub flavour: ProbeFlavour,
    /// Why nothing is traced at all; then every counter is blind and the answer comes from counters alone.
    pub impossible: Option<String>,
    /// What this kernel does not let us see, in words.
    pub notes: Vec<String>,
}

/// Decides what to attach, and what is therefore known.
#[must_use]
pub fn plan(facts: &Facts, flavour: ProbeFlavour) -> Plan {
    let types = match possible(facts) {
        Ok(types) => types,
        Err(why) => return Plan::impossible(why),
    };
    let probes = HOOKS
        .iter()
        .filter(|hook| hook.on.includes(types))
        .map(|hook| probe(hook, flavour, facts, types))
        .collect();
    let mut notes = absent_notes(types);
    if flavour == ProbeFlavour::Kprobe && !types.counts_skipped_kprobes {
        notes.push(UNCOUNTED_SKIPS.to_owned());
    }
    let plan = Plan {
        flavour,
        notes,
        ..Plan::default()
    };
    plan.conclude(probes)
}

/// Stands in the notes of a plan that has it, and behind its counters.
const UNCOUNTED_SKIPS: &str = "a kprobe is skipped where another runs on that CPU, and this kernel does \
                               not count how often (6.7 and later do)";

fn hook_of(probe: &Probe) -> Option<&'static Hook> {
    let flavour = match probe.flavour {
        Flavour::Kprobe => Flavour::Fentry,
        Flavour::Kretprobe => Flavour::Fexit,
        other => other,
    };
    HOOKS
        .iter()
        .find(|hook| hook.name == probe.hook && hook.flavour == flavour)
}

impl Plan {
    /// Nothing can be traced.
    #[must_use]
    pub fn impossible(why: String) -> Self {
        Self {
            counters: Counter::ALL
                .into_iter()
                .map(|counter| CounterSight {
                    counter,
                    sight: Sight::Blind,
                    why: Some(why.clone()),
                })
                .collect(),
            impossible: Some(why),
            ..Self::default()
        }
    }

    /// What is known with these probes; the notes so far are those that do not follow from probes.
    fn conclude(self, mut probes: Vec<Probe>) -> Self {
        let attached: Vec<String> = probes
            .iter()
            .filter(|probe| probe.missing.is_none())
            .map(|probe| probe.hook.clone())
            .collect();
        // Of two functions that do the same on different kernels, one is enough.
        probes.retain(|probe| {
            let other = hook_of(probe).and_then(|hook| hook.unless);
            probe.missing.is_none()
                || !other.is_some_and(|other| attached.iter().any(|a| a == other))
        });
        let lacking: Vec<(&Hook, &str)> = probes
            .iter()
            .filter_map(|probe| Some((hook_of(probe)?, probe.missing.as_deref()?)))
            .collect();
        let mut plan = self;
        let skips = plan.notes.iter().any(|note| note == UNCOUNTED_SKIPS);
        for (hook, missing) in &lacking {
            if let Some(otherwise) = hook.otherwise {
                let note = format!("{}: {missing}; {otherwise}", hook.name);
                if !plan.notes.contains(&note) {
                    plan.notes.push(note);
                }
            }
        }
        plan.counters = Counter::ALL
            .into_iter()
            .map(|counter| {
                let worst = lacking
                    .iter()
                    .flat_map(|(hook, missing)| {
                        hook.needed_by
                            .iter()
                            .map(move |needed| (hook.name, *missing, *needed))
                    })
                    .filter(|(_, _, (of, _))| *of == counter)
                    .max_by_key(|(_, _, (_, sight))| *sight);
                let skipped = skips.then(|| UNCOUNTED_SKIPS.to_owned());
                CounterSight {
                    counter,
                    sight: match worst {
                        Some((_, _, (_, sight))) => sight,
                        None if skips => Sight::Derived,
                        None => Sight::Exact,
                    },
                    why: worst
                        .map(|(hook, missing, _)| format!("{hook} is not probed: {missing}"))
                        .or(skipped),
                }
            })
            .collect();
        drop(lacking);
        plan.probes = probes;
        plan
    }

    /// The same plan after the kernel refused one probe.
    #[must_use]
    pub fn refused(mut self, hook: &str, flavour: Flavour, why: &str) -> Self {
        if hook == "tcp_try_rmem_schedule" {
            return Self::impossible(format!("{hook} cannot be probed: {why}"));
        }
        for probe in &mut self.probes {
            if probe.hook == hook && probe.flavour == flavour {
                probe.programs.clear();
                probe.missing = Some(format!("the kernel refused it: {why}"));
            }
        }
        let probes = std::mem::take(&mut self.probes);
        self.conclude(probes)
    }

    /// Whether a hook of this name is attached.
    #[must_use]
    pub fn attaches(&self, hook: &str) -> bool {
        self.probes
            .iter()
            .any(|probe| probe.hook == hook && probe.missing.is_none())
    }

    /// Events that may be missing from a count, by the runs of each program that the kernel skipped: of a
    /// doubled hook, those that found both copies running, at most the smaller of their misses. Left out
    /// are programs that only label, and those whose next run counts what a missed one did not.
    #[must_use]
    pub fn possible_misses(&self, misses: &[(String, u64)]) -> u64 {
        let of = |program: &String| {
            let named = misses.iter().filter(|(name, _)| name == program);
            named.map(|(_, misses)| misses).sum::<u64>()
        };
        self.probes
            .iter()
            .filter(|probe| probe.counts)
            .map(|probe| {
                let misses = probe.programs.iter().map(of);
                match probe.flavour {
                    // The beginning and the end of a call, which are both needed.
                    Flavour::Kretprobe => misses.sum(),
                    _ => misses.min().unwrap_or(0),
                }
            })
            .sum()
    }

    /// How many programs are attached.
    #[must_use]
    pub fn programs(&self) -> usize {
        self.probes.iter().map(|probe| probe.programs.len()).sum()
    }
}

fn possible(facts: &Facts) -> Result<&Types, String> {
    let types = facts.types.as_ref().map_err(Clone::clone)?;
    if !facts.may_trace {
        return Err("no right to trace: run as root, or with CAP_BPF and CAP_PERFMON".to_owned());
    }
    if facts.lockdown.as_deref() == Some("confidentiality") {
        return Err(
            "kernel lockdown is in mode confidentiality: no program may read kernel memory"
                .to_owned(),
        );
    }
    let absent: Vec<&str> = layout::REQUIRED
        .iter()
        .copied()
        .filter(|name| types.resolved.absent.contains(name))
        .collect();
    if !absent.is_empty() {
        return Err(format!(
            "this kernel lays its sockets out in a way that is not known: no {}",
            absent.join(", ")
        ));
    }
    if !types.functions.contains_key("tcp_try_rmem_schedule") {
        return Err(format!(
            "admission cannot be probed: tcp_try_rmem_schedule {}",
            missing("tcp_try_rmem_schedule", facts)
        ));
    }
    Ok(types)
}

/// What the absence of an optional field takes away.
fn absent_notes(types: &Types) -> Vec<String> {
    let absent = |name: &str| types.resolved.absent.contains(&name);
    let mut notes = Vec::new();
    if absent("sock_cgroup") && absent("sock_cgroup_val") {
        notes.push("sockets have no cgroup here: owners come from memory cgroups only".to_owned());
    }
    if absent("sock_memcg") {
        notes.push("sockets have no memory cgroup here".to_owned());
    }
    if absent("net_cookie") {
        notes.push(
            "network namespaces have no cookie here: they are told apart by number".to_owned(),
        );
    }
    notes
}

#[cfg(test)]
mod tests;
