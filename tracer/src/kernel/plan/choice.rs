//! Which programs go to a hook on this kernel, or why none does.

use super::{Flavour, Probe, ProbeFlavour, hook::Hook, hooks};
use crate::kernel::facts::{Facts, Types};

/// The probe for a hook.
pub(super) fn probe(hook: &Hook, flavour: ProbeFlavour, facts: &Facts, types: &Types) -> Probe {
    let flavour = match (flavour, hook.flavour) {
        (ProbeFlavour::Kprobe, Flavour::Fentry) => Flavour::Kprobe,
        (ProbeFlavour::Kprobe, Flavour::Fexit) => Flavour::Kretprobe,
        (_, flavour) => flavour,
    };
    let (programs, missing) = match find(hook, facts, types) {
        Ok(program) => (programs(hook, flavour, program, types), None),
        Err(why) => (Vec::new(), Some(why)),
    };
    Probe {
        hook: hook.name.to_owned(),
        flavour,
        programs,
        missing,
        counts: hook.counts,
    }
}

/// The program of a hook that fits this kernel, else why there is none.
fn find(hook: &Hook, facts: &Facts, types: &Types) -> Result<&'static str, String> {
    if let Some(why) = hook.on.hindered(facts, types) {
        return Err(why);
    }
    if hook.flavour == Flavour::TpBtf {
        let known = types.tracepoints.contains(&hook.name);
        let program = known.then_some(hook.programs[0].1);
        return program.ok_or_else(|| "this kernel has no such tracepoint".to_owned());
    }
    let Some(&arguments) = types.functions.get(hook.name) else {
        return Err(missing(hook.name, facts));
    };
    hook.programs
        .iter()
        .find(|(expected, _)| *expected == arguments || *expected == hooks::ANY)
        .map(|(_, program)| *program)
        .ok_or_else(|| format!("it has {arguments} arguments here, which is not known"))
}

/// The names of the programs that go to a hook, by the one that they are copies of.
fn programs(hook: &Hook, flavour: Flavour, program: &str, types: &Types) -> Vec<String> {
    match flavour {
        Flavour::Kprobe => vec![format!("k_{program}")],
        // The second one keeps the arguments of a call until it returns.
        Flavour::Kretprobe => vec![
            format!("k_{program}"),
            format!("k_{}", program.replace("_exit", "_call")),
        ],
        _ if hook.doubled && types.skips_running_programs => {
            vec![format!("{program}_a"), format!("{program}_b")]
        }
        _ if hook.doubled => vec![format!("{program}_a")],
        _ => vec![program.to_owned()],
    }
}

/// Why a function has no BTF of its own.
pub(super) fn missing(name: &str, facts: &Facts) -> String {
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
