//! What is nobody's fault on this node, or has nothing to do with who holds memory: a bad link, a flood of orphans, and nothing at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::leaks::{LOOK, PATIENCE, look};
use super::node::Node;
use super::pod::{NODE, Pod, SHARED, Spec};
use super::scenario::Played;
use super::truth::{Counted, Truth};
use crate::check::Checks;
use crate::go::Go;
use crate::netns;
use crate::network;
use crate::process::run;

/// All is well.
pub(super) fn healthy(node: &Node) -> Result<Played> {
    let (report, victims) = look(node, &[], || {
        std::thread::sleep(LOOK);
        Ok(())
    })?;
    Ok(Played {
        truth: Truth::new("healthy", victims),
        report,
        faults: Checks::new(),
    })
}

/// Half of what is sent to a pod arrives a tenth of a second late, and some of it never: what came in time waits out of order. The
/// senders outside bear with that, as those do whose links always reorder: others would send so little that nothing could wait.
pub(super) fn lossy_link(node: &Node) -> Result<Played> {
    let ingest = node.pod(Spec::new("data/ingest").label("app", "ingest"))?;
    ingest.recipe(
        "app",
        "slow-reader --listen 0.0.0.0:7000 --rcvbuf 16384 --rate 100000000",
    )?;
    let port = node_end(&ingest)?;
    let link =
        format!("qdisc add dev {port} root netem delay 100ms reorder 50% loss 0.1% limit 20000");
    run(Command::new("tc").args(link.split(' ')))?;
    let _patience = [
        Setting::new("net/ipv4/tcp_recovery", "0")?,
        Setting::new("net/ipv4/tcp_max_reordering", "1000")?,
        Setting::new("net/ipv4/tcp_reordering", "1000")?,
    ];
    let sender = format!(
        "messages --to {} --connections 16 --row 300 --send-buffer 4000000",
        ingest.endpoint(7000)
    );
    let (report, victims) = look(node, &[&ingest], || {
        let sender = netns::node_recipe(&sender)?;
        std::thread::sleep(LOOK);
        sender.stop().map(drop)
    })?;
    Ok(Played {
        truth: Truth::new("ofo_growth", victims),
        report,
        faults: Checks::new(),
    })
}

/// The node's end of a pod's veth pair.
fn node_end(pod: &Pod) -> Result<String> {
    let said = network::run_in(&pod.netns_file()?, "ip", "-o link show eth0")?;
    let number = said
        .split_once("eth0@if")
        .and_then(|(_, rest)| rest.split(':').next());
    let number = number.with_context(|| format!("no veth pair: {said}"))?;
    for entry in fs::read_dir("/sys/class/net")? {
        let entry = entry?;
        let index = fs::read_to_string(entry.path().join("ifindex")).unwrap_or_default();
        if index.trim() == number {
            return Ok(entry.file_name().to_string_lossy().into_owned());
        }
    }
    anyhow::bail!("no device of the node has the number {number}")
}

/// Puts a file of `/proc/sys` back when it goes.
struct Setting {
    path: PathBuf,
    before: String,
}

impl Setting {
    fn new(path: &str, value: &str) -> Result<Self> {
        let path = Path::new("/proc/sys").join(path);
        let before =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, before })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, self.before.trim()) {
            eprintln!("lab: {} is not put back: {error}", self.path.display());
        }
    }
}

/// A pod closes far more connections with unsent data than the node keeps orphans.
pub(super) fn orphan_flood(node: &Node) -> Result<Played> {
    const KEPT: &str = "40";
    let go = Go::at(Path::new(SHARED).join("orphans"));
    let _limit = Setting::new("net/ipv4/tcp_max_orphans", KEPT)?;
    let flooder = node.pod(Spec::new("shop/flooder").label("app", "flooder"))?;
    // Outside, nobody reads. What is left of the flood ends with them, which must go before the pod's network does.
    let _readers = netns::node_recipe("slow-reader --listen 0.0.0.0:7002 --rcvbuf 4096")?;
    let abandon = flooder.recipe(
        "app",
        &format!("abandon --to {NODE}:7002 --connections 200 --until {go} --pause 20"),
    )?;
    abandon.line(PATIENCE, |line| line.contains("\"full\""))?;
    let (report, victims) = look(node, &[&flooder], || {
        go.give()?;
        abandon.done(PATIENCE)?;
        std::thread::sleep(Duration::from_secs(3));
        Ok(())
    })?;
    Ok(Played {
        truth: Truth::new("orphan_flood", victims).culprit(flooder.full_name()),
        report,
        faults: Checks::new(),
    })
}
