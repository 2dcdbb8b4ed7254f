//! The agent: counters that are the kernel's while it is scraped, one report for one incident, and a memory that outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    while recorded().is_err() && Instant::now() < end {
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

/// How many maps of ours, and programs, a process holds open.
fn held_in_kernel(agent: &Agent) -> usize {
    let folder = format!("/proc/{}/fdinfo", agent.pid());
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    let ours = |text: &String| {
        text.lines().any(|line| {
            line.starts_with("map_type:")
                || line.starts_with("prog_type:")
                || line.starts_with("link_type:")
        })
    };
    texts.filter(ours).count()
}

/// What goes wrong around an agent changes no count, and is told: a configuration that cannot be read, a clock that is set, a folder without room, a
/// second tracer on the same functions, pods that come and go, and the kill switch.
pub(super) fn agent_faults() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let folder = folder("lab-agent-faults")?;
    let switch = Path::new("/run/tcpress/off");
    let _ = fs::remove_file(switch);
    fs::create_dir_all("/run/tcpress")?;
    // A folder of incidents in which there is room for nothing.
    let full = folder.join("incidents");
    fs::create_dir_all(&full)?;
    crate::sys::mount_tmpfs(&full, "size=4k").context("cannot mount a small folder")?;
    let config = folder.join("agent.toml");
    fs::write(
        &config,
        "[scan]\ninterval = \"5s\"\ninterval_under_pressure = \"2s\"\n[trigger]\nhold = \"1s\"\n[privileges]\ndrop = false\n",
    )?;
    let agent = Agent::start_with(&folder, &format!("--config {}", config.display()), &[])?;
    let watch = Watch::new(&slow)?;
    let mut checks = Checks::new();
    let refused = |page: &Page| page.sum("tcpress_refusals_total", &labels(&slow, &[])) as u64;

    // A configuration that nobody can want: all stays as it was.
    fs::write(&config, "[scan]\nintervall = \"5s\"\n")?;
    agent.signal(libc::SIGHUP)?;
    let said = agent.said(SOON, |line| line.contains("not reloaded"))?;
    checks.that(said.contains("interval"), || {
        format!("no nearest name: {said}")
    });
    fs::write(
        &config,
        "[scan]\ninterval = \"4s\"\ninterval_under_pressure = \"2s\"\n[trigger]\nhold = \"1s\"\n[privileges]\ndrop = false\n",
    )?;
    agent.signal(libc::SIGHUP)?;
    agent.said(SOON, |line| line.contains("reloaded: scan.interval"))?;

    // A second tracer on the same functions, and a clock that is set in the middle of a flood.
    let second = tcpress::call("report -o json --duration 300s --no-agent").tracing()?;
    let client = slow.outside(&format!(
        "tun --to {SERVER} --connections 2 --do in-order:20x1000 --do await --do repeat:400x1 \
         --do pause:3000 --do repeat:100x1"
    ))?;
    crate::sys::set_clock_forward(Duration::from_secs(7200))?;
    client.done(Duration::from_secs(120))?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    checks.that(kernel.refusals() >= 1000, || {
        format!("only {} refusals", kernel.refusals())
    });
    agent.page_with("all refusals beside a second tracer", SOON, |page| {
        refused(page) == kernel.refusals()
    })?;
    let beside = second.report()?;
    checks.equal(
        "refusals of the second tracer",
        beside.of_victim(&slow, "/refusals/rcv") + beside.of_victim(&slow, "/refusals/ofo"),
        kernel.refusals(),
    );
    agent.said(SOON, |line| line.contains("the incident is not on disk"))?;
    let page = agent.page_with("the bound", SOON, |page| {
        page.sum("tcpress_bounds_hit_total", &[("bound", "incidents_failed")]) > 0.0
    })?;
    let residuals: Vec<_> = page
        .of("tcpress_residual")
        .into_iter()
        .filter(|it| it.1 != 0.0)
        .collect();
    checks.equal("residuals", residuals, Vec::new());

    // Pods that come and go: their counts stay, their series as well for as long as is configured.
    for number in 0..3 {
        let born = Pod::new(&network, "churn", &format!("born-{number}"))?;
        let _reader = slow_reader(&born)?;
        let _client = super::flood::flood(&born, 1, "repeat:10x1")?;
    }
    let born = |page: &Page| page.sum("tcpress_refusals_total", &[("namespace", "churn")]) as u64;
    agent.page_with("refusals of pods that are gone", SOON, |page| {
        born(page) == 30
    })?;

    // The kill switch.
    checks.that(held_in_kernel(&agent) > 0, || {
        "nothing is attached".to_owned()
    });
    let before = agent.page()?;
    fs::write(switch, "")?;
    agent.said(SOON, |line| line.contains("detached: "))?;
    checks.equal(
        "maps and programs after the kill switch",
        held_in_kernel(&agent),
        0,
    );
    let off = agent.page()?;
    checks.equal("attached", off.sum("tcpress_attached", &[]), 0.0);
    checks.equal("counters that fell", off.fallen_since(&before), Vec::new());
    checks.equal("ready", agent::get("/readyz").is_err(), true);
    fs::remove_file(switch)?;
    agent.page_with("attached again", Duration::from_secs(180), |page| {
        page.sum("tcpress_attached", &[]) == 1.0
    })?;
    let again = Pod::new(&network, "storm", "again")?;
    let _again_reader = slow_reader(&again)?;
    let _again_client = super::flood::flood(&again, 1, "repeat:25x1")?;
    let page = agent.page_with("refusals after that", SOON, |page| {
        page.sum("tcpress_refusals_total", &labels(&again, &[])) as u64 == 25
    })?;
    checks.equal(
        "counters that fell by that",
        page.fallen_since(&before),
        Vec::new(),
    );
    agent.stop()?;
    crate::sys::unmount(&full).context("cannot unmount it")?;
    checks.finish()?;
    Ok(Outcome::Pass)
}
