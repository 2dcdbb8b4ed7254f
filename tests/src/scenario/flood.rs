//! Floods with known outcome, shared by the scenarios: a slow reader in a pod, and a client on a TUN device in the pod's network.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::netns::Recipe;
use crate::pod::Pod;
use crate::snmp::{Counters, Delta};

/// How long a flood may take.
const FLOOD: Duration = Duration::from_secs(60);
/// After the last segment the kernel needs a moment for its own timers and acknowledgements.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);
/// The server's address on the TUN device.
pub(crate) const SERVER: &str = "10.99.0.1:7000";

/// A slow reader in `pod` whose connections shrink their buffer below what is queued once 20 kB are.
pub(crate) fn slow_reader(pod: &Pod) -> Result<Recipe> {
    pod.recipe("slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 20000")
}

/// Connections to the slow reader with a full, shrunk queue: every further segment is refused. Then the steps, one word each.
/// Returns when they are done; the client stays silent until it is dropped.
pub(super) fn flood(pod: &Pod, connections: u64, steps: &str) -> Result<Recipe> {
    finish(begin(pod, connections, steps)?)
}

/// The same with other settings and without filling the queue first.
pub(super) fn start(pod: &Pod, settings: &str, steps: &str) -> Result<Recipe> {
    finish(client(pod, settings, steps)?)
}

/// As [`flood`], but returns at once.
pub(super) fn begin(pod: &Pod, connections: u64, steps: &str) -> Result<Recipe> {
    let full = format!("--connections {connections} --do in-order:20x1000 --do await");
    client(pod, &full, steps)
}

/// So many refusals, as fast as they can be had; returns at once.
pub(super) fn storm(pod: &Pod, connections: u64, refusals: u64) -> Result<Recipe> {
    begin(
        pod,
        connections,
        &format!("repeat:{}x1", refusals / connections),
    )
}

fn client(pod: &Pod, settings: &str, steps: &str) -> Result<Recipe> {
    let steps: String = steps
        .split_ascii_whitespace()
        .map(|step| format!(" --do {step}"))
        .collect();
    pod.outside(&format!("tun --to {SERVER} {settings}{steps}"))
}

fn finish(client: Recipe) -> Result<Recipe> {
    client.done(FLOOD).context("the flood did not end")?;
    std::thread::sleep(SETTLE);
    Ok(client)
}

/// One connection with a full queue from another network outside, and so many segments that are refused; `number`, from 1 on, tells it from
/// others that are still there.
pub(super) fn another(pod: &Pod, number: usize, refused: u32) -> Result<Recipe> {
    let network = format!("10.99.{number}");
    finish(pod.outside(&format!(
        "tun --device more{number} --kernel {network}.1 --client {network}.2 --to {network}.1:7000 \
         --do in-order:20x1000 --do await --do repeat:{refused}x1"
    ))?)
}

/// The kernel's counters of a pod before something; [`Watch::grown`] says what it added.
pub(super) struct Watch<'a> {
    pod: &'a Pod,
    before: Counters,
}

impl<'a> Watch<'a> {
    pub(super) fn new(pod: &'a Pod) -> Result<Self> {
        Ok(Self {
            pod,
            before: pod.counters()?,
        })
    }

    pub(super) fn grown(&self) -> Result<Delta> {
        self.pod.counters()?.since(&self.before)
    }
}

/// Sums a number over evidence lines that match.
pub(super) fn count<'a>(
    lines: impl IntoIterator<Item = &'a Value>,
    matches: impl Fn(&Value) -> bool,
) -> u64 {
    lines.into_iter().map(|line| u64::from(matches(line))).sum()
}
