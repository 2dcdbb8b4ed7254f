//! The agent scraped by a real Prometheus, with the rules that are deployed.

use std::time::Duration;

use anyhow::Result;

use super::prometheus::Prometheus;
use super::{CONNECTIONS, folder, storm_size};
use crate::agent::{self, Agent};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{self, SETTLE, Watch, slow_reader};

const STORM_TIME: Duration = Duration::from_secs(3000);

/// A storm while Prometheus scrapes each second: at rest its counters are the kernel's, none of them ever fell, and the alert of an open incident fired.
pub(in crate::scenario) fn agent_scraped() -> Result<Outcome> {
    if let Some(why) = Prometheus::lacking() {
        return Ok(Outcome::Skip(why));
    }
    let storm = storm_size()?;
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let folder = folder("lab-agent-scraped")?;
    let keys = [
        "scan.interval=5s",
        "scan.interval_under_pressure=2s",
        "trigger.hold=2s",
    ];
    let agent = Agent::start(&folder, &keys)?;
    let prometheus = Prometheus::start(&folder, agent::ADDRESS, None)?;
    let watch = Watch::new(&slow)?;
    let client = flood::storm(&slow, CONNECTIONS, storm)?;
    prometheus.wait("the alert", || prometheus.has_fired("TcpressIncidentOpen"))?;
    client.done(STORM_TIME)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let mut checks = Checks::new();
    checks.that(kernel.refusals() >= storm, || {
        format!("only {} refusals", kernel.refusals())
    });
    // A counter that never rose has no series.
    let of = |name: &str, more: &str| {
        format!("sum({name}{{namespace=\"storm\",pod=\"slow\"{more}}}) or vector(0)")
    };
    let all = of("tcpress_refusals_total", "");
    prometheus.wait("all refusals", || {
        Ok(prometheus.value(&all)? == Some(kernel.refusals() as f64))
    })?;
    let rows = "sum(tcpress_snmp_total{counter=\"PruneCalled\"})";
    let prunes = kernel.get("PruneCalled") as f64;
    prometheus.wait("the kernel's own", || {
        Ok(prometheus.value(rows)?.is_some_and(|seen| seen >= prunes))
    })?;
    for (query, want) in [
        (
            of("tcpress_refusals_total", ",queue=\"rcv\""),
            kernel.get("TCPRcvQDrop") as f64,
        ),
        (of("tcpress_prunes_total", ""), prunes),
        (of("tcpress_stall_seconds_count", ""), prunes),
        ("sum(abs(tcpress_residual))".to_owned(), 0.0),
        (
            "sum(resets(tcpress_refusals_total[1h])) + sum(resets(tcpress_prunes_total[1h]))"
                .to_owned(),
            0.0,
        ),
    ] {
        checks.equal(&query, prometheus.value(&query)?, Some(want));
    }
    let scrapes = prometheus.value("count_over_time(up{job=\"tcpress-agent\"}[1h])")?;
    // Under software emulation the end of a window may take longer than the second that a scrape has.
    let had = prometheus.value("sum_over_time(up{job=\"tcpress-agent\"}[1h])")?;
    eprintln!(
        "lab: {} refusals; {had:?} of {scrapes:?} scrapes were answered within a second",
        kernel.refusals()
    );
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}
