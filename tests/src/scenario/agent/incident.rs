//! One incident is one report.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{SOON, check_incident, check_recovered, folder, labels};
use crate::agent::Agent;
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::is_pod;
use crate::scenario::Outcome;
use crate::scenario::leak::Leak;

/// A leak fills the node's TCP memory with the agent watching: one report, which begins before the trigger, names the culprit, and is closed with
/// what has recovered when the leak is gone.
pub(in crate::scenario) fn agent_incident() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::small()?;
    let leak = Leak::start(&leaky)?;
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
    leak.go_on()?;
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
    // Windows that begin within an incident tell why it is not read.
    let end = Instant::now() + SOON;
    while !agent
        .incidents()?
        .iter()
        .any(|it| it["culprits"][0]["context"].is_object())
    {
        ensure!(
            Instant::now() < end,
            "no report says why the leak does not read"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    leak.stop()?;
    agent.said(SOON, |line| line.contains("the incident is over"))?;
    let incidents = agent.incidents()?;
    checks.equal("incidents", incidents.len(), 1);
    if let Some(report) = incidents.first() {
        check_incident(&mut checks, report, &[]);
        check_recovered(&mut checks, report);
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
