//! Layout and plan of every kernel that was measured, from its own types and symbols (`tests/kernels`, written by
//! `cargo xtask vm-matrix`), without a virtual machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracer::kernel::facts::{self, Facts};
use tracer::kernel::plan::{self, Plan, ProbeFlavour};
use tracer::kernel::{btf::Btf, layout};
use tracer_common::{Layout, layout::ABSENT};

struct Kernel {
    name: String,
    folder: PathBuf,
    facts: Facts,
    seen: Value,
}

fn kernels() -> Vec<Kernel> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let folders = fs::read_dir(all)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let kernels: Vec<Kernel> = folders.map(read).collect();
    assert!(!kernels.is_empty());
    kernels
}

fn read(folder: PathBuf) -> Kernel {
    let symbols = fs::read_to_string(folder.join("symbols")).unwrap();
    let btf = Btf::parse(fs::read(folder.join("btf")).unwrap()).unwrap();
    let seen = fs::read(folder.join("seen.json")).unwrap();
    Kernel {
        name: folder.file_name().unwrap().to_string_lossy().into_owned(),
        facts: Facts {
            types: Ok(facts::types(&btf)),
            symbols: Some(facts::symbols(&symbols)),
            addresses: facts::addresses(&symbols),
            may_trace: true,
            may_enter_netns: true,
            lockdown: Some("none".to_owned()),
        },
        seen: serde_json::from_slice(&seen).unwrap(),
        folder,
    }
}

/// Sight of each counter by its name.
fn sights(plan: &Plan) -> BTreeMap<&str, String> {
    let counters = plan.counters.iter();
    counters
        .map(|it| (it.counter.name(), format!("{:?}", it.sight).to_lowercase()))
        .collect()
}

/// `offsets` holds what pahole, another reader of BTF, says of the same types: `pahole -C STRUCT tests/kernels/NAME/btf`.
#[test]
fn offsets_are_what_pahole_says() {
    for kernel in kernels() {
        let layout = kernel.facts.types.as_ref().unwrap().resolved.layout;
        let expected = fs::read_to_string(kernel.folder.join("offsets")).unwrap();
        assert!(expected.lines().count() > 20);
        for line in expected.lines() {
            let (name, offset) = line.split_once(' ').unwrap();
            let field = Layout::FIELDS.iter().find(|it| it.name == name).unwrap();
            let offset = match offset {
                "absent" => ABSENT,
                offset => offset.parse().unwrap(),
            };
            assert_eq!((field.get)(&layout), offset, "{name} of {}", kernel.name);
        }
    }
}

#[test]
fn nothing_required_is_absent() {
    for kernel in kernels() {
        let absent = &kernel.facts.types.as_ref().unwrap().resolved.absent;
        let required = layout::REQUIRED.iter();
        let lacking: Vec<_> = required.filter(|name| absent.contains(name)).collect();
        assert!(lacking.is_empty(), "{}: {lacking:?}", kernel.name);
    }
}

/// What the kernel itself took, when it was measured, is what the plan promises here.
#[test]
fn plans_promise_what_was_measured() {
    for kernel in kernels() {
        for (name, flavour) in [
            ("fentry", ProbeFlavour::Fentry),
            ("kprobe", ProbeFlavour::Kprobe),
        ] {
            let plan = plan::plan(&kernel.facts, flavour);
            assert_eq!(plan.impossible, None, "{}", kernel.name);
            let flavours = kernel.seen["flavours"].as_array().unwrap();
            let measured = flavours.iter().find(|it| it["flavour"] == name).unwrap();
            let measured: BTreeMap<&str, String> = measured["counters"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, it)| (name.as_str(), it["sight"].as_str().unwrap().to_owned()))
                .collect();
            assert_eq!(sights(&plan), measured, "{} by {name}", kernel.name);
        }
    }
}

/// With trampolines every counter is exact on every kernel that is supported.
#[test]
fn trampolines_are_exact_everywhere() {
    for kernel in kernels() {
        let plan = plan::plan(&kernel.facts, ProbeFlavour::Fentry);
        let weak: Vec<_> = plan.counters.iter().filter(|it| it.why.is_some()).collect();
        assert!(weak.is_empty(), "{}: {weak:?}", kernel.name);
    }
}

/// The same kernels as if their compiler had left each function as a clone only: another name in the types, `.part.0` behind the symbol.
#[test]
fn a_clone_is_said_and_never_taken_for_the_function() {
    for mut kernel in kernels() {
        let types = fs::read(kernel.folder.join("btf")).unwrap();
        let symbols = fs::read_to_string(kernel.folder.join("symbols")).unwrap();
        let known = facts::types(&Btf::parse(types.clone()).unwrap());
        let whole = sights(&plan::plan(&kernel.facts, ProbeFlavour::Fentry))
            .into_iter()
            .map(|(name, sight)| (name.to_owned(), sight))
            .collect::<BTreeMap<_, _>>();
        for name in known.functions.keys() {
            let renamed = rename(&types, name);
            kernel.facts.types = Ok(facts::types(&Btf::parse(renamed).unwrap()));
            let line_end =
                |text: &str| text.replace(&format!(" {name}\n"), &format!(" {name}.part.0\n"));
            kernel.facts.symbols = Some(facts::symbols(&line_end(&symbols)));
            let plan = plan::plan(&kernel.facts, ProbeFlavour::Fentry);
            let of = format!("{name} of {}", kernel.name);
            assert!(!plan.attaches(name), "{of} is probed, and is not there");
            let clone = format!("{name}.part.0");
            let words = plan.notes.iter().chain(&plan.impossible);
            let said = words.chain(plan.counters.iter().filter_map(|it| it.why.as_ref()));
            let unused = *name == "mptcp_incoming_options" && !known.mptcp_refuses;
            assert!(
                unused || said.into_iter().any(|words| words.contains(&clone)),
                "{of}: nobody says that it is a clone: {:?}",
                plan.notes
            );
            for counter in &plan.counters {
                let still =
                    whole[counter.counter.name()] == format!("{:?}", counter.sight).to_lowercase();
                assert!(still || counter.why.is_some(), "{of}: {counter:?}");
            }
        }
    }
}

/// Changes the last letter of a function's name wherever it stands as a whole string.
fn rename(types: &[u8], name: &str) -> Vec<u8> {
    let mut types = types.to_vec();
    let whole = [b"\0", name.as_bytes(), b"\0"].concat();
    let at = types
        .windows(whole.len())
        .position(|it| it == whole)
        .unwrap();
    types[at + name.len()] ^= 1;
    types
}

/// No function that a kernel has under its plain name may be passed over, and each is read with its own number of arguments.
#[test]
fn every_function_that_is_there_is_probed() {
    for kernel in kernels() {
        let plan = plan::plan(&kernel.facts, ProbeFlavour::Fentry);
        let types = kernel.facts.types.as_ref().unwrap();
        for name in types.functions.keys() {
            let refused = *name == "mptcp_incoming_options" && !types.mptcp_refuses;
            assert!(
                refused || plan.attaches(name),
                "{}: {name} is there and not probed",
                kernel.name
            );
        }
    }
}
