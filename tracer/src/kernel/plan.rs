//! From facts to probes: what is attached, and what is therefore exact, derived or blind. Pure.

mod hooks;

use hooks::{HOOKS, Hook};

use super::{
    facts::{Facts, Types},
    layout,
};
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

/// Decides what to attach, and what is therefore known.
#[must_use]
pub fn plan(facts: &Facts) -> Plan {
    let types = match possible(facts) {
        Ok(types) => types,
        Err(why) => return Plan::impossible(why),
    };
    conclude(
        HOOKS.iter().map(|hook| probe(hook, facts, types)).collect(),
        absent_notes(types),
    )
}

/// What is known with these probes. `notes` are those that do not follow from probes.
fn conclude(mut probes: Vec<Probe>, notes: Vec<String>) -> Plan {
    let attached: Vec<String> = probes
        .iter()
        .filter(|probe| probe.missing.is_none())
        .map(|probe| probe.hook.clone())
        .collect();
    // Of two functions that do the same on different kernels, one is enough.
    probes.retain(|probe| {
        let other = hook_of(probe).and_then(|hook| hook.unless);
        probe.missing.is_none() || !other.is_some_and(|other| attached.iter().any(|a| a == other))
    });
    let lacking: Vec<(&Hook, &str)> = probes
        .iter()
        .filter_map(|probe| Some((hook_of(probe)?, probe.missing.as_deref()?)))
        .collect();
    let mut plan = Plan {
        notes,
        ..Plan::default()
    };
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
            CounterSight {
                counter,
                sight: worst.map_or(Sight::Exact, |(_, _, (_, sight))| sight),
                why: worst.map(|(hook, missing, _)| format!("{hook} is not probed: {missing}")),
            }
        })
        .collect();
    drop(lacking);
    plan.probes = probes;
    plan
}

fn hook_of(probe: &Probe) -> Option<&'static Hook> {
    HOOKS
        .iter()
        .find(|hook| hook.name == probe.hook && hook.flavour == probe.flavour)
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
        conclude(self.probes, self.notes)
    }

    /// Whether a hook of this name is attached.
    #[must_use]
    pub fn attaches(&self, hook: &str) -> bool {
        self.probes
            .iter()
            .any(|probe| probe.hook == hook && probe.missing.is_none())
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

fn probe(hook: &Hook, facts: &Facts, types: &Types) -> Probe {
    let found = match hook.flavour {
        Flavour::TpBtf if types.tracepoints.contains(&hook.name) => Ok(hook.programs[0].1),
        Flavour::TpBtf => Err("this kernel has no such tracepoint".to_owned()),
        Flavour::Fentry | Flavour::Fexit => match types.functions.get(hook.name) {
            None => Err(missing(hook.name, facts)),
            Some(&arguments) => hook
                .programs
                .iter()
                .find(|(expected, _)| *expected == arguments)
                .map(|(_, program)| *program)
                .ok_or_else(|| format!("it has {arguments} arguments here, which is not known")),
        },
    };
    let doubled = hook.doubled && types.skips_running_programs;
    let (programs, missing) = match found {
        Err(why) => (Vec::new(), Some(why)),
        Ok(program) if doubled => (vec![format!("{program}_a"), format!("{program}_b")], None),
        Ok(program) if hook.doubled => (vec![format!("{program}_a")], None),
        Ok(program) => (vec![program.to_owned()], None),
    };
    Probe {
        hook: hook.name.to_owned(),
        flavour: hook.flavour,
        programs,
        missing,
    }
}

/// Why a function has no BTF of its own.
fn missing(name: &str, facts: &Facts) -> String {
    let symbols = facts.symbols.as_ref().map(|all| {
        let clones = all.get(name).map_or(&[][..], Vec::as_slice);
        clones
            .iter()
            .filter(|symbol| !symbol.contains(".cold"))
            .collect::<Vec<_>>()
    });
    match symbols {
        None => "it has no BTF, and /proc/kallsyms cannot be read to say why".to_owned(),
        Some(found) if found.is_empty() => {
            "this kernel inlined it, or was built without it".to_owned()
        }
        Some(found) if found.iter().any(|symbol| *symbol == name) => {
            "the function exists, but has no BTF".to_owned()
        }
        Some(found) => {
            let names: Vec<&str> = found.iter().map(|symbol| symbol.as_str()).collect();
            format!("it exists only as the clone {}", names.join(", "))
        }
    }
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
