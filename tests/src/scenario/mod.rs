//! Scenarios: each makes its pods, provokes something, lets tcpress look, and compares what it says with the kernel's own counters.
//! Each runs in a process of its own, so that a panic or a hang is the failure of that one only.

mod bad_input;
mod broken;
mod counters;
mod flavour;
mod flood;
mod life;
mod limits;
mod loads;
mod runner;
mod signals;
mod storm;
mod unknown;

pub use runner::{Results, list, refuse_on_a_real_node, run_all, run_each, run_one, sweep};

use anyhow::Result;

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
    run: fn() -> Result<Outcome>,
}

const fn scenario(name: &'static str, limit: u64, run: fn() -> Result<Outcome>) -> Scenario {
    Scenario {
        name,
        limit,
        counts: false,
        run,
    }
}

impl Scenario {
    const fn counting(mut self) -> Self {
        self.counts = true;
        self
    }
}

/// All scenarios, in the order in which they run.
pub const ALL: &[Scenario] = &[
    scenario("doctor", 60, bad_input::doctor),
    scenario("rcvbuf", 120, limits::rcvbuf).counting(),
    scenario("tcp_mem", 120, limits::tcp_mem).counting(),
    scenario("no_bpf", 60, limits::no_bpf),
    scenario("repair", 90, limits::repair).counting(),
    scenario("queues", 90, limits::queues).counting(),
    scenario("wrap", 90, limits::wrap).counting(),
    scenario("zero_window", 120, counters::zero_window).counting(),
    scenario("mptcp_fallback", 90, counters::mptcp_fallback).counting(),
    scenario("syn_flood", 90, counters::syn_flood).counting(),
    scenario("oom_abort", 120, counters::oom_abort).counting(),
    scenario("backlog", 120, counters::backlog).counting(),
    scenario("broken_probes", 180, broken::broken_probes),
    scenario("flavours", 120, flavour::flavours),
    scenario("trace", 90, signals::trace),
    scenario("rate_limit", 120, signals::rate_limit),
    scenario("ring_full", 120, signals::ring_full),
    scenario("tallies_full", 120, signals::tallies_full),
    scenario("unknown_cgroup", 120, unknown::unknown_cgroup),
    scenario("removed_pod", 120, unknown::removed_pod),
    scenario("no_pod_logs", 120, unknown::no_pod_logs),
    scenario("interrupt", 90, signals::interrupt),
    scenario("broken_pipe", 120, signals::broken_pipe),
    scenario("netns_born", 120, life::netns_born).counting(),
    scenario("netns_gone", 120, life::netns_gone),
    scenario("no_btf", 60, bad_input::no_btf),
    scenario("loaded", 180, storm::loaded).counting(),
    scenario("tcp_mem_storm", 180, storm::tcp_mem_storm).counting(),
    scenario("storm", 5400, storm::storm).counting(),
];
