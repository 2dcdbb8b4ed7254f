//! An agent that is killed, and then a machine that ends without a word. In two halves, each in a machine of its own with the same disk at
//! `/keep`: what was recorded before is still there, and is gone on with.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{SHORT, SOON};
use crate::agent::Agent;
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::Report;
use crate::scenario::Outcome;
use crate::scenario::flood::{Watch, another, slow_reader};
use crate::{sys, tcpress};

/// Where the disk is.
const KEEP: &str = "/keep";
/// What the first half leaves for the second beside the agent's own files.
const FACTS: &str = "/keep/facts.json";

/// Where the agent has its files; `None` where there is no disk.
fn kept() -> Option<PathBuf> {
    let keep = Path::new(KEEP);
    keep.is_dir().then(|| keep.join("agent"))
}

fn no_disk() -> Outcome {
    Outcome::Skip(format!(
        "there is no {KEEP}: give the machine a disk by --keep"
    ))
}

/// What the recording tells, up to a time where one is given.
fn recorded(folder: &Path, until: Option<&str>) -> Result<Report> {
    let until = until.map_or_else(String::new, |until| format!(" --until {until}"));
    let history = folder.join("history").display().to_string();
    let report = tcpress::call(&format!(
        "report -o json --since -1h{until} --history {history}"
    ));
    tcpress::parse(&report.run()?)
}

/// Refusals of a pod in a report.
fn refused(report: &Report, pod: &str) -> u64 {
    let victims = report.list("/victims").iter();
    let of = victims.filter(|victim| victim["owner"]["k8s.pod.name"] == pod);
    let queues = of.flat_map(|victim| ["rcv", "ofo"].map(|queue| &victim["refusals"][queue]));
    queues.filter_map(Value::as_u64).sum()
}

/// Waits until the recording has so many refusals of a pod.
fn on_disk(folder: &Path, pod: &str, count: u64) -> Result<()> {
    let end = Instant::now() + SOON;
    loop {
        let seen = recorded(folder, None).map(|report| refused(&report, pod));
        if seen.as_ref().is_ok_and(|seen| *seen == count) {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("the recording has {seen:?} refusals of {pod}, and the kernel {count}");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Reports of incidents that are not over.
fn open(incidents: &[Value]) -> impl Iterator<Item = &Value> {
    let all = incidents.iter();
    all.filter(|it| it["incident"]["closed"].is_null())
}

/// One agent counts and is killed, the next one counts on, and the machine ends while an incident is open.
pub(in crate::scenario) fn agent_before_reboot() -> Result<Outcome> {
    let Some(folder) = kept() else {
        return Ok(no_disk());
    };
    let _ = fs::remove_dir_all(&folder);
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let watch = Watch::new(&slow)?;
    let mut clients = Vec::new();
    let mut agent = None;
    for _ in 0..2 {
        if let Some(before) = agent.take() {
            Agent::kill(before)?;
        }
        agent = Some(Agent::start(&folder, &SHORT)?);
        clients.push(another(&slow, 1 + clients.len(), 300)?);
        on_disk(&folder, "slow", watch.grown()?.refusals())?;
    }
    let agent = agent.context("no agent")?;
    let sure = watch.grown()?.refusals();
    let until = Timestamp::now();
    // Nothing of the next window is before that time.
    std::thread::sleep(Duration::from_secs(3));
    clients.push(another(&slow, 1 + clients.len(), 100)?);
    let third_is_open = |all: &[Value]| all.len() == 3 && open(all).next() == all.last();
    let end = Instant::now() + SOON;
    while !third_is_open(&agent.incidents()?) {
        ensure!(Instant::now() < end, "no third incident is on disk");
        std::thread::sleep(Duration::from_millis(100));
    }
    let facts = json!({
        "sure": sure,
        "all": watch.grown()?.refusals(),
        "until": until,
        "boot": boot()?,
    });
    let mut file = File::create(FACTS)?;
    file.write_all(facts.to_string().as_bytes())?;
    file.sync_all()?;
    File::open(KEEP)?.sync_all()?;
    sys::crash()?;
    bail!("the machine has not ended")
}

/// What was on disk is told to the last refusal, and the next agent goes on with it.
pub(in crate::scenario) fn agent_after_reboot() -> Result<Outcome> {
    let Some(folder) = kept() else {
        return Ok(no_disk());
    };
    let facts = fs::read(FACTS).context("no first half was here")?;
    let facts: Value = serde_json::from_slice(&facts)?;
    let [sure, all] = ["sure", "all"].map(|name| facts[name].as_u64().unwrap_or(0));
    ensure!(facts["boot"] != boot()?, "this is still the same machine");
    let mut checks = Checks::new();
    checks.that(sure >= 600 && all >= sure + 100, || {
        format!("the first half proves little: {facts}")
    });
    let before = recorded(&folder, facts["until"].as_str())?;
    checks.equal("refusals that were on disk", refused(&before, "slow"), sure);
    // What came last may be in the recording or not, whole windows of it.
    let late = refused(&recorded(&folder, None)?, "slow");
    checks.that((sure..=all).contains(&late), || {
        format!("the recording has {late} refusals, and the kernel had {all}")
    });

    let agent = Agent::start(&folder, &SHORT)?;
    let said = |words: &str| agent.said(Duration::ZERO, |line| line.contains(words));
    for loss in ["begun anew", "cannot be read", "nothing is kept"] {
        checks.that(said(loss).is_err(), || format!("it says: {:?}", said(loss)));
    }
    checks.succeeds("the open incident", said("was open when the agent ended"));
    // Once it is closed there is a window of this run on disk, and what comes then may have numbers that the run before gave.
    let end = Instant::now() + SOON;
    while open(&agent.incidents()?).next().is_some() {
        ensure!(Instant::now() < end, "the open incident is not closed");
        std::thread::sleep(Duration::from_millis(100));
    }
    let network = Network::new()?;
    let next = Pod::new(&network, "storm", "next")?;
    let _reader = slow_reader(&next)?;
    let watch = Watch::new(&next)?;
    let _client = another(&next, 1, 50)?;
    on_disk(&folder, "next", watch.grown()?.refusals())?;
    let whole = recorded(&folder, None)?;
    checks.equal("refusals of before", refused(&whole, "slow"), late);
    let gaps = whole.at("/losses/gaps").to_string();
    checks.that(gaps.contains("started anew"), || {
        format!("nothing says that the machine was started anew: {gaps}")
    });
    let incidents = agent.incidents()?;
    checks.equal("incidents that are open", open(&incidents).count(), 0);
    checks.that(incidents.len() >= 3, || {
        format!("{} incidents are on disk", incidents.len())
    });
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// What the kernel has chosen at its start.
fn boot() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}
