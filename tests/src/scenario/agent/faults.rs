//! What goes wrong around the agent.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{SOON, folder, held_in_kernel, labels, residuals, switch};
use crate::agent::{self, Agent, Page};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::scenario::Outcome;
use crate::scenario::flood::{self, SETTLE, Watch, slow_reader};
use crate::tcpress;

/// What goes wrong around an agent changes no count, and is told: a configuration that cannot be read, a clock that is set, a folder without room, a
/// second tracer on the same functions, pods that come and go, and the kill switch.
pub(in crate::scenario) fn agent_faults() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let folder = folder("lab-agent-faults")?;
    let switch = switch()?;
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
    let client = flood::begin(&slow, 2, "repeat:400x1 pause:3000 repeat:100x1")?;
    crate::sys::step_clock(Duration::from_secs(7200), true)?;
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
    checks.equal("residuals", residuals(&page), Vec::new());

    // Pods that come and go: their counts stay, their series as well for as long as is configured.
    for number in 0..3 {
        let born = Pod::new(&network, "churn", &format!("born-{number}"))?;
        let _reader = slow_reader(&born)?;
        let _client = flood::flood(&born, 1, "repeat:10x1")?;
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
    // Who waits for the end of a window that will not end is told so, and not left waiting.
    let mut waits = UnixStream::connect(folder.join("agent.sock"))?;
    waits.set_read_timeout(Some(SOON))?;
    waits.write_all(b"{\"ask\":\"report\",\"window\":\"10m\"}\n")?;
    fs::write(&switch, "")?;
    agent.said(SOON, |line| line.contains("detached: "))?;
    checks.equal(
        "maps and programs after the kill switch",
        held_in_kernel(&agent),
        0,
    );
    let mut told = String::new();
    BufReader::new(waits).read_line(&mut told)?;
    checks.that(told.contains("detached: "), || {
        format!("who waited for a window was told {told}")
    });
    let off = agent.page()?;
    checks.equal("attached", off.sum("tcpress_attached", &[]), 0.0);
    checks.equal("counters that fell", off.fallen_since(&before), Vec::new());
    checks.equal("ready", agent::get("/readyz").is_err(), true);
    fs::remove_file(&switch)?;
    agent.page_with("attached again", Duration::from_secs(180), |page| {
        page.sum("tcpress_attached", &[]) == 1.0
    })?;
    let again = Pod::new(&network, "storm", "again")?;
    let _again_reader = slow_reader(&again)?;
    let _again_client = flood::flood(&again, 1, "repeat:25x1")?;
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
