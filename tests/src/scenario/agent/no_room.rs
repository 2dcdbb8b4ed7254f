//! The agent on a disk that is full.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{SHORT, SOON, folder};
use crate::agent::{Agent, Page};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::Report;
use crate::scenario::Outcome;
use crate::scenario::flood::{Watch, another, slow_reader};
use crate::{sys, tcpress};

/// A disk on which the recording has its room, and little else.
const ENOUGH: &str = "size=5m";
/// And one on which it has none.
const TOO_LITTLE: &str = "size=1m";
/// The least that `limits.memory` may be, in bytes.
const LEAST: f64 = 16.0 * 1024.0 * 1024.0;

/// Writes zeros until there is no room.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let zeros = [0; 4096];
    loop {
        match file.write(&zeros) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => return Ok(()),
            Err(error) => return Err(error).context("cannot fill the disk"),
        }
    }
}

/// Where the first frame of a recording ends: it begins on the second page, and has its length in its head.
fn frame_end(history: &Path) -> Result<u64> {
    const RING: u64 = 4096;
    const HEAD: u64 = 64;
    let mut head = [0; HEAD as usize];
    File::open(history)?.read_exact_at(&mut head, RING)?;
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    ensure!(head.starts_with(b"TCPF"), "no frame is there");
    Ok(RING + (HEAD + u64::from(length)).next_multiple_of(HEAD))
}

/// What the recording tells.
fn past(history: &Path) -> Result<Report> {
    let words = format!("report -o json --since -1h --history {}", history.display());
    tcpress::parse(&tcpress::call(&words).run()?)
}

/// Refusals of a pod in it; `None` where it tells nothing yet.
fn told(history: &Path, pod: &Pod) -> Option<u64> {
    let past = past(history).ok()?;
    let queues = ["rcv", "ofo"].map(|queue| past.of_victim(pod, &format!("/refusals/{queue}")));
    Some(queues.iter().sum())
}

fn wait(what: &str, is: impl Fn() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + SOON;
    while !is()? {
        ensure!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

/// What cannot be written is said and counted, no count is missing, and once there is room the recording goes on.
pub(in crate::scenario) fn agent_no_room() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let watch = Watch::new(&slow)?;
    let folder = folder("lab-agent-no-room")?;
    sys::mount_tmpfs(&folder, ENOUGH).context("cannot mount a small disk")?;
    let (history, filler) = (folder.join("history"), folder.join("filler"));
    let agent = Agent::start(&folder, &SHORT)?;
    let refused = || -> Result<u64> {
        let kernel = watch.grown()?.refusals();
        agent.page_with("all refusals", SOON, |page| {
            page.sum("tcpress_refusals_total", &[("pod", "slow")]) as u64 == kernel
        })?;
        Ok(kernel)
    };
    let mut clients = vec![another(&slow, 1, 60)?];
    let first = refused()?;
    wait("the first frame", || {
        Ok(told(&history, &slow) == Some(first))
    })?;

    // Its room is kept by the file system. One that only promises it, as a thin volume does, is what is left of it now: up to the page in
    // which the frame ends. Another may still have room in that.
    let frame = frame_end(&history)?;
    OpenOptions::new()
        .write(true)
        .open(&history)?
        .set_len(frame)?;
    fill(&filler)?;
    let failed = || agent.said(Duration::ZERO, |line| line.contains("of the recording: "));
    let mut kept = first;
    while failed().is_err() {
        clients.push(another(&slow, 1 + clients.len(), 70)?);
        let all = refused()?;
        wait("a frame or that there is none", || {
            Ok(failed().is_ok() || told(&history, &slow) == Some(all))
        })?;
        if failed().is_err() {
            kept = all;
        }
    }
    let lost = refused()? - kept;
    let mut checks = Checks::new();
    let said = failed()?;
    checks.that(said.contains("No space left"), || {
        format!("it does not say why: {said}")
    });
    agent.said(SOON, |line| line.contains("the incident is not on disk"))?;
    agent.page_with("the bound", SOON, |page| {
        page.sum("tcpress_bounds_hit_total", &[("bound", "recorder")]) > 0.0
    })?;

    fs::remove_file(&filler)?;
    clients.push(another(&slow, 1 + clients.len(), 80)?);
    let all = refused()?;
    wait("a frame now that there is room", || {
        Ok(told(&history, &slow).is_some_and(|told| told > kept))
    })?;
    checks.equal("refusals on disk", told(&history, &slow), Some(all - lost));
    let gaps = past(&history)?.at("/losses/gaps").to_string();
    checks.that(gaps.contains("cannot be read any more"), || {
        format!("nothing says that a frame is missing: {gaps}")
    });
    let resident = agent.page()?.sum("tcpress_agent_resident_bytes", &[]);
    agent.stop()?;
    sys::unmount(&folder).context("cannot unmount it")?;

    // No room from the beginning, and not much in memory.
    sys::mount_tmpfs(&folder, TOO_LITTLE).context("cannot mount a smaller disk")?;
    let little = format!("limits.memory={:.0}", resident.max(LEAST));
    let agent = Agent::start(&folder, &[&SHORT[..], &[&little]].concat())?;
    agent.said(SOON, |line| {
        line.contains("nothing is kept over a restart: no room")
    })?;
    clients.push(another(&slow, 1 + clients.len(), 80)?);
    let kernel = watch.grown()?.refusals();
    agent.page_with("refusals without a recording", SOON, |page| {
        page.sum("tcpress_refusals_total", &[("pod", "slow")]) as u64 == kernel - all
    })?;
    let oldest = |page: &Page| page.sum("tcpress_recorder_oldest_timestamp_seconds", &[]);
    let first = agent.page_with("a recording", SOON, |page| oldest(page) > 0.0)?;
    let first = oldest(&first);
    // It looks once a minute.
    agent.said(SOON, |line| line.contains("it forgets the older half"))?;
    agent.page_with("a recording that begins later", SOON, |page| {
        oldest(page) > first && page.sum("tcpress_bounds_hit_total", &[("bound", "memory")]) > 0.0
    })?;
    agent.stop()?;
    drop(clients);
    sys::unmount(&folder).context("cannot unmount it")?;
    checks.finish()?;
    Ok(Outcome::Pass)
}
