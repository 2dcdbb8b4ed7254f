//! Scenarios: each makes its pods, provokes something, lets tcpress look, and compares what it says with the kernel's own counters.
//! Each runs in a process of its own, so that a panic or a hang is the failure of that one only.

pub(crate) mod agent;
mod bad_input;
mod broken;
pub(crate) mod churn;
mod counters;
mod crowd;
mod drained;
mod ends;
mod flavour;
pub(crate) mod flood;
mod full;
mod held;
mod leak;
mod life;
mod limits;
mod live;
mod loads;
mod owners;
mod recorded;
mod recovery;
mod runner;
mod signals;
mod stalls;
mod storm;
mod truth;
mod unknown;
mod waits;
mod windows;

pub use runner::{Results, list, refuse_on_a_real_node, run_all, run_each, run_one, sweep};

use anyhow::{Context as _, Result};

/// How a scenario that did not fail ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held.
    Pass,
    /// It cannot be run here; why.
    Skip(String),
}

/// One scenario.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// Seconds it may take at most, under software emulation too.
    pub limit: u64,
    /// Whether its counts must hold with every flavour of probes.
    pub counts: bool,
    /// Whether it shows the same on every kernel, so that one is enough where time is short.
    pub once: bool,
    run: fn() -> Result<Outcome>,
}

const fn scenario(name: &'static str, limit: u64, run: fn() -> Result<Outcome>) -> Scenario {
    Scenario {
        name,
        limit,
        counts: false,
        once: false,
        run,
    }
}

impl Scenario {
    const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    const fn counting(mut self) -> Self {
        self.counts = true;
        self
    }
}

/// A number that the environment may say.
pub(crate) fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{variable} is no number")),
        Err(_) => Ok(otherwise),
    }
}

/// Those that run only where somebody names them.
pub const ON_DEMAND: &[Scenario] = &[
    scenario("stalls", 5400, stalls::stalls),
    scenario("agent_scraped", 5400, agent::scraped::agent_scraped),
    scenario("agent_exhausted", 1800, agent::exhausted::agent_exhausted),
    scenario("agent_idle", 5400, agent::idle::agent_idle),
    // Two halves of one, with a machine that ends in between.
    scenario(
        "agent_before_reboot",
        600,
        agent::reboot::agent_before_reboot,
    ),
    scenario("agent_after_reboot", 600, agent::reboot::agent_after_reboot),
];

/// All others, in the order in which they run.
pub const ALL: &[Scenario] = &[
    scenario("doctor", 180, bad_input::doctor),
    // Before any other leaves sockets behind: what the kernel still has to finish in the network of a dead pod, nobody finds.
    scenario("explained_share", 120, held::explained_share),
    scenario("reset_unread", 90, held::reset_unread).once(),
    scenario("rcvbuf", 120, limits::rcvbuf).counting(),
    scenario("tcp_mem", 120, limits::tcp_mem).counting(),
    scenario("tcp_mem_hard", 120, truth::tcp_mem_hard).counting(),
    scenario("tcp_mem_fair_share", 120, truth::tcp_mem_fair_share).counting(),
    scenario("memcg_process", 120, truth::memcg_process).counting(),
    scenario("memcg_softirq", 120, truth::memcg_softirq).counting(),
    scenario("v1_tcpmem", 120, truth::v1_tcpmem).counting(),
    scenario("recovers", 180, recovery::recovers).once(),
    scenario("recorded", 120, recorded::recorded).once(),
    scenario("no_bpf", 60, limits::no_bpf).once(),
    scenario("repair", 90, limits::repair).counting(),
    scenario("queues", 90, limits::queues).counting(),
    scenario("wrap", 90, limits::wrap).counting(),
    scenario("zero_window", 120, counters::zero_window).counting(),
    scenario("mptcp_fallback", 90, counters::mptcp_fallback).counting(),
    scenario("syn_flood", 90, counters::syn_flood).counting(),
    scenario("oom_abort", 120, counters::oom_abort).counting(),
    scenario("backlog", 120, counters::backlog).counting(),
    scenario("families", 120, owners::families)
        .counting()
        .once(),
    scenario("moved_server", 90, owners::moved_server)
        .counting()
        .once(),
    scenario("passed_sockets", 90, owners::passed_sockets)
        .counting()
        .once(),
    scenario("not_accepted", 90, owners::not_accepted)
        .counting()
        .once(),
    scenario("reset_waiting", 180, held::reset_waiting).once(),
    scenario("sockmap", 90, drained::sockmap).counting(),
    scenario("mptcp_subflows", 120, drained::mptcp_subflows).counting(),
    scenario("dying_sockets", 120, ends::dying_sockets)
        .counting()
        .once(),
    scenario("orphans", 90, ends::orphans).once(),
    scenario("killed", 120, ends::killed).once(),
    scenario("broken_probes", 400, broken::broken_probes).once(),
    scenario("flavours", 120, flavour::flavours),
    scenario("reader_idle", 120, waits::idle).once(),
    scenario("reader_cpu", 120, waits::cpu).once(),
    scenario("reader_lock", 120, waits::lock).once(),
    scenario("reader_memory", 120, waits::memory).once(),
    scenario("reader_io", 120, waits::io).once(),
    scenario("lossy_link", 120, waits::lossy_link).once(),
    scenario("trace", 90, signals::trace).once(),
    scenario("rate_limit", 120, signals::rate_limit).once(),
    scenario("ring_full", 120, signals::ring_full).once(),
    scenario("tallies_full", 120, full::tallies_full).once(),
    scenario("namespaces_full", 120, full::namespaces_full).once(),
    scenario("unknown_cgroup", 120, unknown::unknown_cgroup).once(),
    scenario("removed_pod", 120, unknown::removed_pod).once(),
    scenario("no_pod_logs", 120, unknown::no_pod_logs).once(),
    scenario("interrupt", 90, signals::interrupt).once(),
    scenario("broken_pipe", 120, signals::broken_pipe).once(),
    scenario("netns_born", 120, life::netns_born).counting(),
    scenario("netns_gone", 120, life::netns_gone).once(),
    scenario("windows_in_a_row", 300, windows::windows_in_a_row).once(),
    scenario("top", 300, live::top).once(),
    scenario("agent_counts", 1800, agent::counts::agent_counts).once(),
    scenario("agent_faults", 900, agent::faults::agent_faults).once(),
    scenario("agent_clock", 300, agent::clock::agent_clock).once(),
    scenario("agent_exempt", 180, agent::exempt::agent_exempt),
    scenario("agent_incident", 300, agent::incident::agent_incident).once(),
    scenario("agent_full", 300, agent::bounds::agent_full).once(),
    scenario("agent_privileges", 300, agent::privileges::agent_privileges).once(),
    scenario("agent_besieged", 300, agent::bounds::agent_besieged).once(),
    scenario("agent_no_room", 300, agent::no_room::agent_no_room).once(),
    scenario("agent_runtime", 300, agent::runtime::agent_runtime).once(),
    scenario("netns_many", 120, crowd::netns_many).once(),
    scenario("many_sockets", 5400, crowd::many_sockets)
        .counting()
        .once(),
    scenario("churn", 5400, churn::churn).once(),
    scenario("no_btf", 180, bad_input::no_btf).once(),
    scenario("loaded", 180, storm::loaded).counting().once(),
    scenario("tcp_mem_storm", 180, storm::tcp_mem_storm).counting(),
    scenario("storm", 5400, storm::storm).counting().once(),
];
