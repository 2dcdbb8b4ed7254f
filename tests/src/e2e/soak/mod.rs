//! The agent for a long time: pods and sockets that come and go, refusals now and then, a scrape each few seconds, and a container runtime
//! that is killed again and again. It takes no more at the end than at the beginning, and has counted what the kernel counted.

mod load;
mod rest;
mod staying;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::churn::slow;
use super::node::Node;
use super::runtime::SOCKET;
use crate::agent::{Agent, Page, Seen, get};
use crate::check::Checks;
use crate::cri::{Manner, Runtime};
use crate::netns::Recipe;
use crate::network::Network;
use crate::owners_map::owners;
use crate::pod::Pod;
use crate::scenario::agent::switch;
use crate::scenario::flood::slow_reader;
use crate::scenario::number;
use load::{OWN, Run};
use rest::{FILES, MIB, RESIDENT, SERIES, check_counts, descriptors, entries, rest};
use staying::{Staying, of_pod};

/// Seconds of load; `TCPRESS_SOAK` asks for another number.
const LOAD: u64 = 1200;
/// Pods that stay, containerd's among them: three of the node, and two more. `TCPRESS_AGENT_PODS` asks for another number.
const PODS: u64 = 200;
const REAL: usize = 5;
/// Where the lab's own runtime listens, which tells of the lab's pods.
const LAB_SOCKET: &str = "/run/lab/cri.sock";
/// Between two scrapes.
const SCRAPES: Duration = Duration::from_secs(3);
/// Thousandths of a processor that Redis's client gets meanwhile, and afterwards.
const WORK: i64 = 30;
const WHOLE: i64 = 1000;
/// For a burst, a scrape, a window.
const SOON: Duration = Duration::from_secs(400);
/// For the kernel to take the probes off: for each of some twenty functions it waits until every task has slept, and one that gets 3 % of a processor
/// does so every few seconds.
const DETACHED: Duration = Duration::from_secs(600);
/// Most that the median of the agent's own memory may rise from the third quarter of the load to the last, as a part. In the first half the agent fills
/// up: it keeps names and counts of the dead for ten minutes. Resident besides are pages of its program, as many as have run.
const RISE: f64 = 0.03;

/// Everything at once, then rest.
pub(super) fn agent_soak(node: &Node) -> Result<()> {
    let load = number("TCPRESS_SOAK", LOAD)?;
    let pods = usize::try_from(number("TCPRESS_AGENT_PODS", PODS)?)?;
    // It would take all of a slow machine for itself.
    node.limit_work(WORK)?;
    let lab = Runtime::start(Path::new(LAB_SOCKET), Manner::Honest)?;
    let network = Network::none();
    let begun = Instant::now();
    let real = (0..REAL - node.residents().len())
        .map(|number| slow(&node.runtime, &format!("soak/real-{number}")))
        .collect::<Result<Vec<_>>>()?;
    let own = (0..pods.saturating_sub(REAL).max(2))
        .map(|number| {
            let pod = Pod::new(&network, "soak", &format!("stays-{number}"))?;
            let reader = slow_reader(&pod)?;
            Ok((pod, reader))
        })
        .collect::<Result<Vec<(Pod, Recipe)>>>()?;
    eprintln!("lab: {pods} pods after {} s", begun.elapsed().as_secs());

    let folder = PathBuf::from("/tmp/lab-agent-soak");
    let agent = Agent::start_with(
        &folder,
        &format!("--cri-socket {SOCKET} --cri-socket {LAB_SOCKET}"),
        &[
            "scan.interval=20s",
            "scan.interval_under_pressure=10s",
            "metrics.owner_grace=1m",
            "recorder.minutes=1",
            "trigger.before=30s",
            // The incident that a storm raises stays open through all of the load: it is over only after a whole window of calm, and on this machine windows
            // are long. So one story has all who come and go.
            "trigger.refusals_per_second=150",
            "trigger.hold=0s",
            "trigger.recover=20s",
            "trigger.cool_down=20s",
        ],
    )?;
    // Each that stays has counted once before anything is compared.
    let sufferers = [&own[0].0, &own[1].0];
    let mut staying = Staying::new(&sufferers, &real)?;
    staying.suffer(load)?;
    agent.page_with("refusals of all that stay", SOON, |page| {
        staying.refused().is_ok_and(|all| {
            all.iter()
                .all(|(names, count)| of_pod(page, names) == *count)
        })
    })?;
    // Entries of maps are told at the end of a window.
    let counted = Instant::now();
    let base = agent.page_with("a window after that", SOON, |page| {
        let age = page.sum("tcpress_scan_age_seconds", &[]);
        entries(page, "TALLIES") > 0.0 && age < counted.elapsed().as_secs_f64()
    })?;
    let run = Run::new(&agent, node, &lab);
    let open = descriptors(&agent);
    eprintln!("lab: entries of TALLIES before: {}", listed()?);
    let mut seen = Seen::new(&base);
    let begun = Instant::now();
    let kills = run.load(&mut seen, Duration::from_secs(load), &mut staying)?;
    let loaded = begun.elapsed().as_secs_f64();

    let mut checks = Checks::new();
    let truths = run
        .truths
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let last = rest(&agent, &mut seen, &base, &staying, &mut checks)?;
    let left = descriptors(&agent);
    eprintln!("lab: entries of TALLIES after: {}", listed()?);
    eprintln!("lab: descriptors before {open:?}, after {left:?}");
    check_counts(&mut checks, &seen, &last, &staying, &truths)?;
    let quarters = |gauge: &str| {
        [0.0, 0.25, 0.5, 0.75]
            .map(|from| seen.median(from * loaded, (from + 0.25) * loaded, gauge) / MIB)
    };
    let own_memory = quarters(OWN);
    let [_, _, early, late] = own_memory;
    let least = |page: &Page, name: &str| page.sum(name, &[]);
    println!(
        "lab: {pods} pods, {loaded:.0} s of load: {} pods came and went, {} connections, {kills} kills of containerd, {} refusals, {} incidents, {} pages; \
         own memory {own_memory:.2?} MiB in the four quarters of it ({:+.1} % at the end), {:.2} MiB at most; resident {:.2?} MiB, {:.2} MiB at most; descriptors {} before, {} after; \
         entries of TALLIES {} and of SOCKETS {} before, {} and {} after; {} series before, {} after",
        truths.len(),
        run.connections.load(Ordering::Relaxed),
        seen.sum("tcpress_refusals_total", &[]),
        least(&last, "tcpress_incidents_total"),
        seen.pages(),
        (late / early - 1.0) * 100.0,
        seen.most(OWN) / MIB,
        quarters(RESIDENT),
        seen.most(RESIDENT) / MIB,
        least(&base, FILES),
        least(&last, FILES),
        entries(&base, "TALLIES"),
        entries(&base, "SOCKETS"),
        entries(&last, "TALLIES"),
        entries(&last, "SOCKETS"),
        least(&base, SERIES),
        least(&last, SERIES),
    );
    checks.that(late <= early * (1.0 + RISE), || {
        format!("its own memory rose from {early} to {late} MiB")
    });
    checks.equal("counters that fell", seen.fallen(), &[] as &[String]);
    let detached = detach(&agent, &mut checks)?;
    eprintln!("lab: the agent detached within {detached:?}");
    let asked = Instant::now();
    agent.signal(libc::SIGTERM)?;
    let ended = agent.said(SOON, |line| line.contains("tcpress: ended"));
    eprintln!("lab: the agent ended within {:?}", asked.elapsed());
    checks.succeeds("the end of the agent", ended);
    checks.succeeds("its status", agent.stop());
    drop((own, real, lab));
    node.limit_work(WHOLE)?;
    checks.finish()
}

/// Whose entries there are, a line each.
fn listed() -> Result<String> {
    let lines = owners()?
        .into_iter()
        .map(|owner| format!("\n  {}", owner.words));
    Ok(lines.collect())
}

/// Detaching by the kill switch beside throttled tasks, which the kernel waits for; meanwhile the agent says that it lives. How long that took.
fn detach(agent: &Agent, checks: &mut Checks) -> Result<Duration> {
    let switch = switch()?;
    let asked = Instant::now();
    fs::write(&switch, "")?;
    let mut sick = Vec::new();
    loop {
        let said = agent.said(SCRAPES, |line| line.contains("tcpress: detached: "));
        sick.extend(get("/healthz").err().map(|error| error.to_string()));
        if said.is_ok() {
            break;
        }
        ensure!(
            asked.elapsed() < DETACHED,
            "the agent did not detach within {DETACHED:?}"
        );
    }
    checks.equal("signs of death while it detached", sick, Vec::new());
    fs::remove_file(switch)?;
    Ok(asked.elapsed())
}
