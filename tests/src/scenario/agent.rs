//! The agent: counters that are the kernel's while it is scraped, one report for one incident, and a memory that outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Outcome;
use super::flood::{SERVER, SETTLE, Watch, slow_reader};
use crate::agent::{self, Agent, Page};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::is_pod;
use crate::tcpress;

/// Refusals that are provoked; `TCPRESS_AGENT_STORM` asks for another number.
const STORM: u64 = 20_000;
/// Connections that bring them about.
const CONNECTIONS: u64 = 4;
/// For the storm.
const STORM_TIME: Duration = Duration::from_secs(1500);
/// For anything that the agent does by itself within a few windows.
const SOON: Duration = Duration::from_secs(90);
/// Pages of `net.ipv4.tcp_mem`; see the demo for why.
const TCP_MEM: [u64; 3] = [2800, 2950, 3072];
/// The file that lets the leak go on.
const GO: &str = "/tmp/lab-agent-on";

/// A folder for the files of an agent, empty.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = Path::new("/tmp").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn labels<'a>(pod: &'a Pod, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let (namespace, name) = pod.names();
    [&[("namespace", namespace), ("pod", name)], more].concat()
}

/// A storm while somebody scrapes each second: every page's counters are at least those of the page before, and at rest they are the kernel's.
/// Then the agent is killed; another one goes on with the same recording, and what was before is still told.
pub(super) fn agent_counts() -> Result<Outcome> {
    let storm = std::env::var("TCPRESS_AGENT_STORM")
        .ok()
        .map(|it| it.parse());
    let storm: u64 = storm.transpose()?.unwrap_or(STORM);
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let folder = folder("lab-agent-counts")?;
    let keys = [
        "scan.interval=5s",
        "scan.interval_under_pressure=2s",
        "trigger.hold=2s",
        "trigger.recover=5s",
    ];
    let agent = Agent::start(&folder, &keys)?;
    let watch = Watch::new(&slow)?;
    let began = agent.page()?;
    let ended = AtomicBool::new(false);
    let (fallen, pages) = std::thread::scope(|scope| {
        let scraped = scope.spawn(|| scrape(&agent, &began, &ended));
        let flooded = slow
            .outside(&format!(
                "tun --to {SERVER} --connections {CONNECTIONS} --do in-order:20x1000 --do await --do repeat:{}x1",
                storm / CONNECTIONS
            ))
            .and_then(|client| client.done(STORM_TIME).map(|_| client));
        std::thread::sleep(SETTLE);
        ended.store(true, Ordering::Relaxed);
        let scraped = scraped
            .join()
            .map_err(|_| anyhow::anyhow!("the scraper panicked"))?;
        flooded?;
        scraped
    })?;
    let kernel = watch.grown()?;
    let mut checks = Checks::new();
    checks.that(kernel.refusals() >= storm, || {
        format!("only {} refusals", kernel.refusals())
    });
    checks.equal("counters that fell between two pages", fallen, Vec::new());
    checks.that(pages >= 2, || format!("only {pages} pages were had"));
    let refused = |page: &Page| page.sum("tcpress_refusals_total", &labels(&slow, &[])) as u64;
    let page = agent.page_with("all refusals", SOON, |page| {
        refused(page) == kernel.refusals()
    })?;
    for (queue, counter) in [("rcv", "TCPRcvQDrop"), ("ofo", "TCPOFODrop")] {
        let ours = page.sum(
            "tcpress_refusals_total",
            &labels(&slow, &[("queue", queue)]),
        );
        checks.equal(counter, ours as u64, kernel.get(counter));
    }
    let prunes = page.sum("tcpress_prunes_total", &labels(&slow, &[]));
    checks.equal("prunes", prunes as u64, kernel.get("PruneCalled"));
    let stalls = page.sum("tcpress_stall_seconds_count", &labels(&slow, &[]));
    checks.equal("stalls", stalls as u64, kernel.get("PruneCalled"));
    // Rows are told at the end of a window.
    let snmp = |page: &Page, of: &str| page.sum(of, &[("counter", "PruneCalled")]) as u64;
    let page = agent.page_with("the kernel's counters", SOON, |page| {
        snmp(page, "tcpress_snmp_total") >= kernel.get("PruneCalled")
    })?;
    checks.equal(
        "prunes of all rows",
        snmp(&page, "tcpress_attributed_total"),
        snmp(&page, "tcpress_snmp_total"),
    );
    let residuals: Vec<_> = page
        .of("tcpress_residual")
        .into_iter()
        .filter(|it| it.1 != 0.0)
        .collect();
    checks.equal("residuals", residuals, Vec::new());

    // One incident: begun by the refusals, with a window before them, over by itself.
    agent.said(SOON, |line| line.contains("the incident is over"))?;
    let incidents = agent.incidents()?;
    checks.equal("incidents", incidents.len(), 1);
    if let Some(report) = incidents.first() {
        check_incident(&mut checks, report, &["refusals"]);
        checks.that(is_pod(&report["victims"][0]["owner"], &slow), || {
            format!("the victim is {}", report["victims"][0]["owner"])
        });
    }
    let status = tcpress::ask(&folder.join("agent.sock"), "{\"ask\":\"status\"}")?;
    checks.equal(
        "attached, as the socket says",
        &status["attached"],
        &true.into(),
    );
    let ready = agent::get("/readyz").is_ok() && agent::get("/healthz").is_ok();
    checks.equal("healthy and ready", ready, true);
    let plan: Value = serde_json::from_str(&agent::get("/debug/plan")?)?;
    checks.equal("a plan", plan["probes"].is_array(), true);

    // Nobody says good-bye.
    agent.kill()?;
    let again = Agent::start(&folder, &keys)?;
    let history = folder.join("history").display().to_string();
    let past = tcpress::call(&format!("report -o json --since -1h --history {history}")).run()?;
    let past = tcpress::parse(&past)?;
    checks.equal(
        "refusals in the recording",
        past.of_victim(&slow, "/refusals/rcv") + past.of_victim(&slow, "/refusals/ofo"),
        kernel.refusals(),
    );
    let oldest = again
        .page()?
        .sum("tcpress_recorder_oldest_timestamp_seconds", &[]);
    let start = page.sum("tcpress_start_time_seconds", &[]);
    checks.that(oldest < start + 60.0, || {
        format!("it remembers from {oldest} on, and began at {start}")
    });
    again.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Scrapes until it is told to end: what fell between two pages, and how many pages there were.
fn scrape(agent: &Agent, began: &Page, ended: &AtomicBool) -> Result<(Vec<String>, u64)> {
    let (mut fallen, mut before, mut pages) = (Vec::new(), began.clone(), 0);
    while !ended.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs(1));
        let page = agent.page()?;
        fallen.extend(page.fallen_since(&before));
        (before, pages) = (page, pages + 1);
    }
    Ok((fallen, pages))
}

fn check_incident(checks: &mut Checks, report: &Value, causes: &[&str]) {
    let state = &report["incident"];
    let time = |value: &Value| {
        value
            .as_str()
            .unwrap_or_default()
            .parse::<jiff::Timestamp>()
            .ok()
    };
    let (start, opened, closed) = (
        time(&report["window"]["start"]),
        time(&state["opened"]),
        time(&state["closed"]),
    );
    checks.that(
        start
            .zip(opened)
            .is_some_and(|(start, opened)| start < opened),
        || {
            format!(
                "it does not cover the time before: {} and {state}",
                report["window"]["start"]
            )
        },
    );
    checks.that(
        opened
            .zip(closed)
            .is_some_and(|(opened, closed)| opened < closed),
        || format!("it is not closed: {state}"),
    );
    let has = |cause: &str| {
        state["causes"]
            .as_array()
            .is_some_and(|all| all.iter().any(|it| it == cause))
    };
    for cause in causes {
        checks.that(has(cause), || {
            format!("{cause} is none of its causes: {state}")
        });
    }
    checks.that(report["recovery"].is_object(), || {
        "it does not say what has recovered".to_owned()
    });
}

/// A leak fills the node's TCP memory with the agent watching: one report, which begins before the trigger, names the culprit, and is closed with
/// what has recovered when the leak is gone.
pub(super) fn agent_incident() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::set(TCP_MEM[0], TCP_MEM[1], TCP_MEM[2])?;
    let leak = leaky.recipe("leak-server --listen 0.0.0.0:8080")?;
    let _ = fs::remove_file(GO);
    let outside = leaky.outside(&format!(
        "tun --to 10.99.0.1:8080 --connections 320 --do feed:18200 --do until:{GO} --do feed:30000"
    ))?;
    outside.step("feed", Duration::from_secs(60))?;
    let folder = folder("lab-agent-incident")?;
    let agent = Agent::start(
        &folder,
        &[
            "scan.interval=5s",
            "scan.interval_under_pressure=2s",
            // Below it before the leak goes on, although most is taken.
            "trigger.fill=0.95",
            "trigger.hold=1s",
            "trigger.recover=6s",
        ],
    )?;
    // A window before anything happens.
    agent.page_with("a first window", SOON, |page| {
        page.sum("tcpress_snmp_total", &[]) >= 0.0 && !page.of("tcpress_residual").is_empty()
    })?;
    fs::write(GO, "").context("cannot give the word")?;
    agent.said(SOON, |line| {
        line.contains("tcpress-") && line.contains(&leaky.full_name())
    })?;
    let open = agent.page()?;
    let mut checks = Checks::new();
    checks.equal(
        "an incident is open",
        open.sum("tcpress_incident_open", &[]),
        1.0,
    );
    let held = open.sum("tcpress_held_bytes", &labels(&leaky, &[]));
    checks.that(held > (8 << 20) as f64, || {
        format!("the leak holds {held} bytes")
    });
    outside.stop()?;
    leak.stop()?;
    let _ = fs::remove_file(GO);
    agent.said(SOON, |line| line.contains("the incident is over"))?;
    let incidents = agent.incidents()?;
    checks.equal("incidents", incidents.len(), 1);
    if let Some(report) = incidents.first() {
        check_incident(&mut checks, report, &[]);
        let culprit = &report["culprits"][0]["owner"];
        checks.that(is_pod(culprit, &leaky), || {
            format!(
                "the culprit is {culprit}: {}",
                report["verdict"]["headline"]
            )
        });
        checks.equal(
            "the kind",
            &report["verdict"]["kind"],
            &"tcp_mem_leak".into(),
        );
        checks.equal("recovered", &report["recovery"]["recovered"], &true.into());
    }
    let closed = agent.page()?;
    checks.equal(
        "no incident is open",
        closed.sum("tcpress_incident_open", &[]),
        0.0,
    );
    checks.equal(
        "incidents counted",
        closed.sum("tcpress_incidents_total", &[]),
        1.0,
    );
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}
