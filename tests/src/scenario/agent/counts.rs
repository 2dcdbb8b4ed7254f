//! What the agent counts is what the kernel counts, while it is scraped and after it was killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::{CONNECTIONS, SOON, check_incident, folder, labels, residuals, storm_size};
use crate::agent::{self, Agent, Page};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::is_pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{self, SETTLE, Watch, slow_reader};
use crate::tcpress;

/// For the storm.
const STORM_TIME: Duration = Duration::from_secs(1500);

/// A storm while somebody scrapes each second: every page's counters are at least those of the page before, and at rest they are the kernel's.
/// Then the agent is killed; another one goes on with the same recording, and what was before is still told.
pub(in crate::scenario) fn agent_counts() -> Result<Outcome> {
    let storm = storm_size()?;
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
        let flooded = flood::storm(&slow, CONNECTIONS, storm)
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
    checks.equal("residuals", residuals(&page), Vec::new());

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

    // The end of an incident is written to disk at once. Then nobody says good-bye.
    let history = folder.join("history").display().to_string();
    let recorded = || -> Result<u64> {
        let past = tcpress::call(&format!("report -o json --since -1h --history {history}"));
        let past = tcpress::parse(&past.run()?)?;
        Ok(["rcv", "ofo"]
            .map(|queue| past.of_victim(&slow, &format!("/refusals/{queue}")))
            .iter()
            .sum())
    };
    let end = Instant::now() + SOON;
    while recorded().ok() != Some(kernel.refusals()) && Instant::now() < end {
        std::thread::sleep(Duration::from_secs(1));
    }
    agent.kill()?;
    let again = Agent::start(&folder, &keys)?;
    checks.equal("refusals in the recording", recorded()?, kernel.refusals());
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
