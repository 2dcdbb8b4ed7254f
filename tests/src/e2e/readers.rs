//! Readers that are too slow for what is sent to them, and a pod whose memory is limited: nobody but themselves is to blame.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::leaks::{LOOK, PATIENCE, look};
use super::node::{Node, outside};
use super::pod::{Pod, SHARED, Spec};
use super::scenario::Played;
use super::truth::{Truth, Victims};
use crate::check::Checks;
use crate::report::Report;

/// Each connection's buffer is shrunk below what is queued, as by a server that sets SO_RCVBUF once it knows its client: whatever comes
/// then within the window that was announced before finds a full queue.
const SHRINKS: &str = "slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 15000";
/// How often a segment is sent again that is not acknowledged.
const ROUNDS: usize = 20;

/// Clients outside fill the queues of a reader, and go on sending.
fn send(pod: &Pod, connections: u32) -> Result<()> {
    let again = " --do retry:1x1000 --do pause:300".repeat(ROUNDS);
    let senders = format!("--connections {connections} --do feed:16000 --do await{again}");
    outside(0, pod.endpoint(7000), &senders)?
        .done(PATIENCE)
        .map(drop)
}

fn blamed(pod: &Pod, kind: &'static str, (report, victims): (Report, Victims)) -> Played {
    Played {
        truth: Truth::new(kind, victims).culprit(pod.full_name()),
        report,
        faults: Checks::new(),
    }
}

/// A reader with a small buffer that takes its time, because it wants to.
pub(super) fn small_buffer(node: &Node) -> Result<Played> {
    let slow = node.pod(Spec::new("shop/slow").label("app", "slow"))?;
    slow.recipe("app", &format!("{SHRINKS} --rate 500"))?;
    let seen = look(node, &[&slow], || send(&slow, 20))?;
    let mut played = blamed(&slow, "slow_reader", seen);
    played.truth = played.truth.reader("idle");
    Ok(played)
}

/// A reader that would be quick enough, if it got the processor time that its work takes.
pub(super) fn throttled(node: &Node) -> Result<Played> {
    let slow = node.pod(Spec::new("shop/throttled").label("app", "throttled"))?;
    let reader = slow.recipe("app", &format!("{SHRINKS} --rate 1000000 --work 20"))?;
    // From now on a tenth of a processor: the kubelet does so when a pod is resized in place.
    reader.limit_cpu(100)?;
    let seen = look(node, &[&slow], || send(&slow, 8))?;
    let mut played = blamed(&slow, "slow_reader", seen);
    played.truth = played.truth.reader("cpu");
    Ok(played)
}

/// A pod whose memory limit leaves no room for what its sockets receive.
pub(super) fn memory_limit(node: &Node) -> Result<Played> {
    const START: i64 = 64 << 20;
    const MORE: i64 = 2 << 20;
    let capped = node.pod(
        Spec::new("shop/capped")
            .label("app", "capped")
            .memory(START),
    )?;
    let server = capped.recipe("app", "leak-server --listen 0.0.0.0:7000")?;
    let go = PathBuf::from(SHARED).join("memory");
    let _ = fs::remove_file(&go);
    let clients = outside(
        0,
        capped.endpoint(7000),
        &format!(
            "--connections 100 --do feed:1 --do until:{} --do feed:100000",
            go.display()
        ),
    )?;
    clients.step("feed", PATIENCE)?;
    // Where nothing can be reclaimed, the kernel would end the process, and with it the scenario.
    capped.spare()?;
    let seen = look(node, &[&capped], || {
        let limit = capped.memory()? + MORE;
        server.limit_memory(limit)?;
        capped.limit_memory(limit)?;
        fs::write(&go, "").context("cannot give the word")?;
        std::thread::sleep(LOOK);
        Ok(())
    })?;
    // Before the pod is taken away, which needs some memory too.
    server.limit_memory(START)?;
    capped.limit_memory(START)?;
    let mut played = blamed(&capped, "memcg_limit", seen);
    played.truth.victims = played.truth.victims.perhaps(&capped.full_name());
    Ok(played)
}
