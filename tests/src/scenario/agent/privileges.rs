//! The agent with the capabilities that `deploy/` gives it, and with one fewer.

use std::fs;

use anyhow::{Context as _, Result};

use super::{SOON, folder, labels, residuals};
use crate::agent::{Agent, Page, get};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{Watch, flood, slow_reader};
use crate::sys::CAP_SYS_PTRACE;

// Of linux/capability.h, as bits of a set.
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYS_RESOURCE: u64 = 1 << 24;
const CAP_SYSLOG: u64 = 1 << 34;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;
/// Those of the `DaemonSet` and of the systemd unit.
const DEPLOYED: u64 = CAP_DAC_READ_SEARCH
    | CAP_SYS_PTRACE
    | CAP_SYS_ADMIN
    | CAP_SYS_RESOURCE
    | CAP_SYSLOG
    | CAP_PERFMON
    | CAP_BPF;
/// Those that stay once everything is attached.
const PERIODIC: u64 = CAP_DAC_READ_SEARCH | CAP_SYS_PTRACE | CAP_SYS_ADMIN | CAP_BPF;

/// Whether the agent's own sockets are out of `tcp_mem`.
const EXEMPT: &str = "tcpress_agent_sockets_exempt";

/// With the capabilities that `deploy/` grants as many probes are attached as with all; those that were for attaching are given back by every
/// thread; and without the one for entering namespaces every count is there all the same.
pub(in crate::scenario) fn agent_privileges() -> Result<Outcome> {
    let network = Network::new()?;
    let keys = ["scan.interval=5s", "scan.interval_under_pressure=2s"];
    let mut checks = Checks::new();

    let folder = folder("lab-agent-privileges")?;
    let all = Agent::start(&folder, &keys)?;
    let attached = probes(&all)?;
    let exempt = |agent: &Agent| Ok::<_, anyhow::Error>(agent.page()?.sum(EXEMPT, &[]));
    let exempt_with_all = exempt(&all)?;
    all.stop()?;
    checks.above_zero("probes with all capabilities", attached);

    let granted = |call: crate::tcpress::Call| call.with_capabilities(DEPLOYED);
    let agent = Agent::start_as(&folder, "", &keys, granted)?;
    checks.equal(
        "probes with those that are granted",
        probes(&agent)?,
        attached,
    );
    checks.equal(
        "own sockets exempt with those that are granted",
        exempt(&agent)?,
        exempt_with_all,
    );
    for (thread, held) in effective(&agent)? {
        checks.equal(&format!("capabilities of thread {thread}"), held, PERIODIC);
    }
    counts(
        &mut checks,
        &agent,
        &Pod::new(&network, "storm", "granted")?,
    )?;
    agent.stop()?;

    let without = |call: crate::tcpress::Call| call.with_capabilities(DEPLOYED & !CAP_SYS_ADMIN);
    let keys = [&keys[..], &["privileges.setns=false"]].concat();
    let agent = Agent::start_as(&folder, "", &keys, without)?;
    checks.equal("probes without CAP_SYS_ADMIN", probes(&agent)?, attached);
    checks.equal("own sockets exempt without it", exempt(&agent)?, 0.0);
    for (thread, held) in effective(&agent)? {
        let what = format!("capabilities of thread {thread} without that one");
        checks.equal(&what, held, PERIODIC & !CAP_SYS_ADMIN);
    }
    counts(
        &mut checks,
        &agent,
        &Pod::new(&network, "storm", "without")?,
    )?;
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Refusals in a new pod are the kernel's, and no residual is left.
fn counts(checks: &mut Checks, agent: &Agent, slow: &Pod) -> Result<()> {
    let _reader = slow_reader(slow)?;
    let refused =
        |page: &Page, queue| page.sum("tcpress_refusals_total", &labels(slow, &[("queue", queue)]));
    let watch = Watch::new(slow)?;
    let _client = flood(slow, 2, "repeat:50x1 retry:1x1")?;
    let kernel = watch.grown()?;
    let [ofo, rcv] = ["TCPOFODrop", "TCPRcvQDrop"].map(|counter| kernel.get(counter));
    checks.above_zero("the kernel's TCPOFODrop", ofo);
    checks.above_zero("the kernel's TCPRcvQDrop", rcv);
    agent.page_with("all refusals", SOON, |page| {
        (refused(page, "ofo") as u64, refused(page, "rcv") as u64) == (ofo, rcv)
    })?;
    // Rows are told at the end of a window.
    let told = |page: &Page| page.sum("tcpress_snmp_total", &[("counter", "TCPOFODrop")]) as u64;
    let page = agent.page_with("the kernel's counters", SOON, |page| told(page) >= ofo)?;
    checks.equal("residuals", residuals(&page), Vec::new());
    Ok(())
}

/// Probes that are attached, as the plan says with the first window.
fn probes(agent: &Agent) -> Result<u64> {
    agent.page_with("a first window", SOON, |page| {
        !page.of("tcpress_residual").is_empty()
    })?;
    let plan: serde_json::Value = serde_json::from_str(&get("/debug/plan")?)?;
    let probes = plan["probes"].as_array().context("a plan without probes")?;
    let attached = probes.iter().filter(|probe| probe["missing"].is_null());
    Ok(attached.count() as u64)
}

/// The effective capabilities of each thread.
fn effective(agent: &Agent) -> Result<Vec<(String, u64)>> {
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.pid()))?;
    let mut all = Vec::new();
    for task in tasks {
        let task = task?;
        let status = fs::read_to_string(task.path().join("status"))?;
        let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let held = u64::from_str_radix(held.context("no CapEff")?.trim(), 16)?;
        all.push((task.file_name().to_string_lossy().into_owned(), held));
    }
    Ok(all)
}
