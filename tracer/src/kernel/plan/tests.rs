//! Plans of kernels as they are found in the field, made by hand: symbol tables and BTF of real ones where
//! they are known, and of kernels that lack one thing.

use std::collections::BTreeMap;

use tracer_common::Layout;

use super::*;
use crate::kernel::{facts::Addresses, layout::Resolved};

/// Functions and their numbers of arguments as in Debian's 6.12, where everything can be probed.
const FUNCTIONS_6_12: &[(&str, usize)] = &[
    ("tcp_try_rmem_schedule", 3),
    ("tcp_prune_ofo_queue", 2),
    ("tcp_collapse_one", 4),
    ("tcp_data_queue", 2),
    ("tcp_send_rcvq", 3),
    ("__sk_mem_schedule", 3),
    ("mem_cgroup_charge_skmem", 3),
    ("tcp_add_backlog", 3),
    ("tcp_check_oom", 2),
    ("tcp_enter_memory_pressure", 1),
    ("tcp_leave_memory_pressure", 1),
    ("tcp_v4_conn_request", 2),
    ("tcp_v6_conn_request", 2),
    ("subflow_v4_conn_request", 2),
    ("subflow_v6_conn_request", 2),
    ("tcp_check_req", 5),
    ("tcp_get_cookie_sock", 4),
    ("tcp_req_err", 3),
];

fn facts() -> Facts {
    let functions: BTreeMap<&'static str, usize> = FUNCTIONS_6_12.iter().copied().collect();
    let symbols = functions
        .keys()
        .map(|&name| (name, vec![name.to_owned()]))
        .collect();
    Facts {
        types: Ok(Types {
            functions,
            tracepoints: crate::kernel::facts::TRACEPOINTS.to_vec(),
            resolved: Resolved {
                layout: Layout::ABSENT,
                absent: vec!["sock_cgroup_val"],
            },
            skips_running_programs: true,
            counts_skipped_kprobes: true,
            mptcp_refuses: false,
        }),
        symbols: Some(symbols),
        addresses: Addresses {
            per_cpu_offset: 0xffff_ffff_8200_0000,
            tcp_memory_pressure: 0xffff_ffff_8300_0000,
        },
        may_trace: true,
        may_enter_netns: true,
        lockdown: None,
    }
}

fn types(facts: &mut Facts) -> &mut Types {
    facts.types.as_mut().unwrap()
}

fn sight(plan: &Plan, counter: Counter) -> Sight {
    plan.counters
        .iter()
        .find(|sight| sight.counter == counter)
        .unwrap()
        .sight
}

fn programs(plan: &Plan, hook: &str) -> Vec<String> {
    plan.probes
        .iter()
        .filter(|probe| probe.hook == hook)
        .flat_map(|probe| probe.programs.clone())
        .collect()
}

#[test]
fn a_whole_kernel_is_exact_in_every_counter() {
    let plan = plan(&facts(), ProbeFlavour::Fentry);
    assert_eq!(plan.impossible, None);
    for counter in Counter::ALL {
        assert_eq!(sight(&plan, counter), Sight::Exact, "{counter:?}");
    }
    assert_eq!(
        programs(&plan, "tcp_prune_ofo_queue"),
        ["prune_ofo_exit_2_a", "prune_ofo_exit_2_b"]
    );
    // One of the two names of the same function is enough.
    assert!(
        !plan
            .probes
            .iter()
            .any(|probe| probe.hook == "mem_cgroup_sk_charge")
    );
    assert!(
        !plan.notes.iter().any(|note| note.contains("memory cgroup")),
        "{:?}",
        plan.notes
    );
}

#[test]
fn programs_follow_the_number_of_arguments() {
    let mut facts = facts();
    types(&mut facts).functions.insert("tcp_prune_ofo_queue", 1);
    types(&mut facts)
        .functions
        .insert("mem_cgroup_charge_skmem", 2);
    let old = plan(&facts, ProbeFlavour::Fentry);
    assert_eq!(
        programs(&old, "tcp_prune_ofo_queue"),
        ["prune_ofo_exit_1_a", "prune_ofo_exit_1_b"]
    );
    assert_eq!(
        programs(&old, "mem_cgroup_charge_skmem"),
        ["charge_skmem_exit_short"]
    );

    types(&mut facts).functions.insert("tcp_prune_ofo_queue", 3);
    let odd = plan(&facts, ProbeFlavour::Fentry);
    assert!(programs(&odd, "tcp_prune_ofo_queue").is_empty());
    assert_eq!(sight(&odd, Counter::OfoPruned), Sight::Blind);
    assert_eq!(sight(&odd, Counter::PruneCalled), Sight::Derived);
    assert_eq!(sight(&odd, Counter::TCPOFODrop), Sight::Exact);
}

#[test]
fn a_kernel_that_skips_no_program_needs_no_second_copy() {
    let mut facts = facts();
    types(&mut facts).skips_running_programs = false;
    assert_eq!(
        programs(&plan(&facts, ProbeFlavour::Fentry), "tcp_data_queue"),
        ["data_queue_exit_a"]
    );
}

#[test]
fn no_function_is_missing_unsaid() {
    let whole = plan(&facts(), ProbeFlavour::Fentry);
    for (name, _) in FUNCTIONS_6_12 {
        let mut facts = facts();
        types(&mut facts).functions.remove(name);
        facts.symbols.as_mut().unwrap().remove(name);
        let plan = plan(&facts, ProbeFlavour::Fentry);
        let weaker = |(was, is): (&CounterSight, &CounterSight)| {
            was.sight != is.sight && is.why.as_deref().is_some_and(|why| why.contains(name))
        };
        let counters = whole.counters.iter().zip(&plan.counters);
        let said = plan.notes.iter().any(|note| note.starts_with(name));
        assert!(
            plan.impossible.is_some() || said || counters.into_iter().any(weaker),
            "without {name} the plan says nothing: {:?}",
            plan.notes
        );
    }
}

#[test]
fn refusals_by_multipath_tcp_are_looked_for_where_there_are_any() {
    let mut facts = facts();
    let without = plan(&facts, ProbeFlavour::Fentry);
    assert!(programs(&without, "mptcp_incoming_options").is_empty());
    types(&mut facts).mptcp_refuses = true;
    let missing = plan(&facts, ProbeFlavour::Fentry);
    assert_eq!(sight(&missing, Counter::TCPRcvQDrop), Sight::Derived);
    types(&mut facts)
        .functions
        .insert("mptcp_incoming_options", 2);
    let whole = plan(&facts, ProbeFlavour::Fentry);
    assert_eq!(sight(&whole, Counter::TCPRcvQDrop), Sight::Exact);
    assert_eq!(
        programs(&whole, "mptcp_incoming_options"),
        ["mptcp_options_exit", "mptcp_options_enter"]
    );
}

#[test]
fn tcp_prune_queue_is_probed_where_it_is_a_function() {
    let mut facts = facts();
    types(&mut facts).functions.insert("tcp_prune_queue", 2);
    assert_eq!(
        programs(&plan(&facts, ProbeFlavour::Fentry), "tcp_prune_queue"),
        ["prune_enter_a", "prune_enter_b"]
    );
}

#[test]
fn a_clone_is_named_and_never_taken_for_the_function() {
    // Ubuntu's 5.4 has tcp_prune_ofo_queue only as a partial clone.
    let mut facts = facts();
    types(&mut facts).functions.remove("tcp_prune_ofo_queue");
    facts.symbols.as_mut().unwrap().insert(
        "tcp_prune_ofo_queue",
        vec!["tcp_prune_ofo_queue.part.0".to_owned()],
    );
    let plan = plan(&facts, ProbeFlavour::Fentry);
    let probe = plan
        .probes
        .iter()
        .find(|probe| probe.hook == "tcp_prune_ofo_queue")
        .unwrap();
    let why = probe.missing.as_deref().unwrap();
    assert!(why.contains("tcp_prune_ofo_queue.part.0"), "{why}");
    assert_eq!(sight(&plan, Counter::OfoPruned), Sight::Blind);
}

#[test]
fn cold_parts_are_no_clones() {
    let symbols = crate::kernel::facts::symbols(
        "ffffffff81000000 t tcp_data_queue\nffffffff81000100 t tcp_data_queue.cold\n\
         0000000000000000 t tcp_prune_queue.isra.0\t[some_module]\nshort line\n",
    );
    assert_eq!(symbols["tcp_prune_queue"], ["tcp_prune_queue.isra.0"]);
    let mut facts = facts();
    types(&mut facts).functions.remove("tcp_data_queue");
    facts.symbols = Some(symbols);
    let why = missing("tcp_data_queue", &facts);
    assert_eq!(why, "the function exists, but has no BTF");
}

#[test]
fn what_the_kernel_refuses_weakens_the_plan() {
    let plan = plan(&facts(), ProbeFlavour::Fentry).refused(
        "tcp_collapse_one",
        Flavour::Fentry,
        "no such luck",
    );
    assert_eq!(plan.impossible, None);
    assert_eq!(sight(&plan, Counter::TCPRcvCollapsed), Sight::Blind);
    assert_eq!(sight(&plan, Counter::PruneCalled), Sight::Derived);
    assert!(programs(&plan, "tcp_collapse_one").is_empty());
    let nothing = plan.refused("tcp_try_rmem_schedule", Flavour::Fexit, "no");
    assert!(
        nothing
            .impossible
            .unwrap()
            .contains("tcp_try_rmem_schedule")
    );
}

#[test]
fn what_makes_tracing_impossible_is_said_in_words() {
    let because = |change: fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        let plan = plan(&facts, ProbeFlavour::Fentry);
        assert!(
            plan.counters
                .iter()
                .all(|counter| counter.sight == Sight::Blind)
        );
        assert_eq!(plan.programs(), 0);
        plan.impossible.unwrap()
    };
    assert!(because(|facts| facts.types = Err("no BTF here".to_owned())).contains("no BTF here"));
    assert!(because(|facts| facts.may_trace = false).contains("CAP_BPF"));
    let lockdown = because(|facts| facts.lockdown = Some("confidentiality".to_owned()));
    assert!(lockdown.contains("lockdown"));
    let layout = because(|facts| types(facts).resolved.absent.push("sock_rcvbuf"));
    assert!(layout.contains("sock_rcvbuf"));
    let inlined = because(|facts| {
        types(facts).functions.remove("tcp_try_rmem_schedule");
        facts
            .symbols
            .as_mut()
            .unwrap()
            .remove("tcp_try_rmem_schedule");
    });
    assert!(inlined.contains("inlined"), "{inlined}");
}

#[test]
fn integrity_lockdown_allows_tracing() {
    let mut facts = facts();
    facts.lockdown = Some("integrity".to_owned());
    assert_eq!(plan(&facts, ProbeFlavour::Fentry).impossible, None);
}
