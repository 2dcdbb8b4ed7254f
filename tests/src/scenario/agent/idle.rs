//! What the agent takes while nothing happens, on a node with many pods and many sockets.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::folder;
use crate::agent::{Agent, Page};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::{Outcome, number};

/// Pods; `TCPRESS_AGENT_PODS` asks for another number.
const PODS: u64 = 200;
/// Sockets of all of them together.
const SOCKETS: u64 = 10_000;
/// For the sockets of one.
const CROWDED: Duration = Duration::from_secs(1200);
/// Until windows are as long as they become: 60, 120 and 240 seconds, and one of the longest.
const SETTLED: Duration = Duration::from_secs(760);
/// How long it is watched: two windows of the length that they have then.
const WATCHED: Duration = Duration::from_secs(600);
/// Most resident memory, in bytes.
const MOST_RESIDENT: f64 = (32 << 20) as f64;
/// Most CPU time in a second, in seconds, where an instruction is a nanosecond (`--icount`).
const MOST_CPU: f64 = 0.005;

/// Memory and CPU time of an agent with default windows, beside pods that do nothing. Its CPU time means something only with `--icount`.
pub(in crate::scenario) fn agent_idle() -> Result<Outcome> {
    let pods = number("TCPRESS_AGENT_PODS", PODS)?;
    let network = Network::new()?;
    let mut living = Vec::new();
    for index in 0..pods {
        let pod = Pod::new(&network, "idle", &format!("pod-{index}"))?;
        // None of them wakes up by itself: that would be taken for what the agent costs.
        let crowd = pod.recipe(&format!("crowd --sockets {}", SOCKETS / pods))?;
        crowd.done(CROWDED)?;
        living.push((pod, crowd));
    }
    let folder = folder("lab-agent-idle")?;
    let agent = Agent::start(&folder, &["scan.interval_idle=300s"])?;
    std::thread::sleep(SETTLED);
    let (before, begun) = (agent.page()?, Instant::now());
    std::thread::sleep(WATCHED);
    let (after, lasted) = (agent.page()?, begun.elapsed().as_secs_f64());
    let cpu = |page: &Page| page.sum("tcpress_agent_cpu_seconds_total", &[]);
    let resident = after.sum("tcpress_agent_resident_bytes", &[]);
    let rate = (cpu(&after) - cpu(&before)) / lasted;
    let sum = |name: &str| after.sum(name, &[]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let parts = status.lines().filter(|line| line.starts_with("Rss"));
    for part in parts {
        println!(
            "lab: {}",
            part.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
    println!(
        "lab: {pods} pods, {} sockets held by owners; {:.1} MiB resident, {:.2} ms of CPU time a second over {lasted:.0} s with a window each {} s, \
         {} descriptors, {} series; the last listing took {:.0} ms",
        sum("tcpress_sockets"),
        resident / f64::from(1 << 20),
        rate * 1000.0,
        sum("tcpress_scan_interval_seconds"),
        sum("tcpress_agent_open_files"),
        sum("tcpress_series"),
        sum("tcpress_scan_seconds") * 1000.0,
    );
    let mut checks = Checks::new();
    checks.that(sum("tcpress_sockets") >= SOCKETS as f64, || {
        "not all sockets were seen".to_owned()
    });
    checks.that(resident <= MOST_RESIDENT, || {
        format!("{resident} bytes are resident")
    });
    checks.that(rate <= MOST_CPU, || {
        format!("{rate} s of CPU time a second")
    });
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}
