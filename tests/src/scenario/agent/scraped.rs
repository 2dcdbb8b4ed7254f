//! The agent scraped by a real Prometheus, with the rules that are deployed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{CONNECTIONS, folder, storm_size};
use crate::agent::{Agent, get_from};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::process::{Process, Start};
use crate::scenario::Outcome;
use crate::scenario::flood::{self, SETTLE, Watch, slow_reader};

/// Names the folder with `prometheus` and `tcpress.rules.yaml`.
const FOLDER: &str = "TCPRESS_PROMETHEUS";
const STORM_TIME: Duration = Duration::from_secs(3000);
/// Where Prometheus listens.
const ADDRESS: &str = "127.0.0.1:9090";
/// For Prometheus to begin, and for it to see what is there.
const SOON: Duration = Duration::from_secs(180);

/// A storm while Prometheus scrapes each second: at rest its counters are the kernel's, none of them ever fell, and the alert of an open incident fired.
pub(in crate::scenario) fn agent_scraped() -> Result<Outcome> {
    let Some(tools) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return Ok(Outcome::Skip(format!(
            "{FOLDER} names no folder with prometheus"
        )));
    };
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
    let _prometheus = prometheus(&tools, &folder)?;
    wait("the first scrape", || {
        Ok(value("up{job=\"tcpress-agent\"}")? == Some(1.0))
    })?;
    let watch = Watch::new(&slow)?;
    let client = flood::storm(&slow, CONNECTIONS, storm)?;
    wait("the alert", || fires("TcpressIncidentOpen"))?;
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
    wait("all refusals", || {
        Ok(value(&all)? == Some(kernel.refusals() as f64))
    })?;
    let rows = "sum(tcpress_snmp_total{counter=\"PruneCalled\"})";
    let prunes = kernel.get("PruneCalled") as f64;
    wait("the kernel's own", || {
        Ok(value(rows)?.is_some_and(|seen| seen >= prunes))
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
        checks.equal(&query, value(&query)?, Some(want));
    }
    let scrapes = value("count_over_time(up{job=\"tcpress-agent\"}[1h])")?;
    // Under software emulation the end of a window may take longer than the second that a scrape has.
    let had = value("sum_over_time(up{job=\"tcpress-agent\"}[1h])")?;
    eprintln!(
        "lab: {} refusals; {had:?} of {scrapes:?} scrapes were answered within a second",
        kernel.refusals()
    );
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Starts Prometheus on the deployed rules.
fn prometheus(tools: &Path, folder: &Path) -> Result<Process> {
    let rules = tools.join("tcpress.rules.yaml");
    let config = folder.join("prometheus.yml");
    fs::write(
        &config,
        format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [{}]\nscrape_configs:\n\
             - job_name: tcpress-agent\n  honor_labels: true\n  static_configs:\n  - targets: [\"{}\"]\n",
            rules.display(),
            crate::agent::ADDRESS,
        ),
    )?;
    let mut command = Command::new(tools.join("prometheus"));
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        .arg(format!("--web.listen-address={ADDRESS}"));
    let process = Process::start("prometheus", &mut command, Start::default())?;
    process.stderr_line(SOON, |line| line.contains("Server is ready"))?;
    Ok(process)
}

fn ask(path: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(&get_from(ADDRESS, path)?)?;
    if answer["status"] != "success" {
        bail!("{path}: {answer}");
    }
    Ok(answer["data"].clone())
}

/// The one value of a query, if it has one.
fn value(query: &str) -> Result<Option<f64>> {
    let escaped: String = query
        .bytes()
        .map(|byte| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    let data = ask(&format!("/api/v1/query?query={escaped}"))?;
    let text = data["result"][0]["value"][1].as_str();
    text.map(|text| text.parse().context("no number"))
        .transpose()
}

fn fires(alert: &str) -> Result<bool> {
    let data = ask("/api/v1/alerts")?;
    let alerts = data["alerts"].as_array().context("no alerts")?;
    let fires = |it: &Value| it["labels"]["alertname"] == alert && it["state"] == "firing";
    Ok(alerts.iter().any(fires))
}

fn wait(what: &str, is: impl Fn() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + SOON;
    while !is().unwrap_or(false) {
        if Instant::now() > end {
            bail!("Prometheus does not see {what}: {:?}", is());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}
