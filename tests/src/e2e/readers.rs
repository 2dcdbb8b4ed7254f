//! Readers that are too slow for what is sent to them, and a pod whose memory is limited: nobody but themselves is to blame.

use anyhow::Result;

use super::leaks::{LOOK, PATIENCE, look};
use super::node::{Node, outside};
use super::pod::{Pod, Spec};
use super::scenario::Played;
use super::truth::{Counted, Truth, Victims};
use crate::check::Checks;
use crate::netns;
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
    slow.recipe("app", &format!("{SHRINKS} --rate 500 --nap 300"))?;
    let seen = look(node, &[&slow], || send(&slow, 20))?;
    let mut played = blamed(&slow, "slow_reader", seen);
    played.truth = played.truth.reader("idle");
    Ok(played)
}

/// A reader that computes, and gets a fifth of the processor for it.
pub(super) fn throttled(node: &Node) -> Result<Played> {
    const CONNECTIONS: u32 = 8;
    let slow = node.pod(Spec::new("shop/throttled").label("app", "throttled"))?;
    let reads = format!("{SHRINKS} --after {CONNECTIONS} --then cpu");
    let reader = slow.recipe("app", &reads)?;
    // As the kubelet does when a pod is resized in place.
    reader.limit_cpu(200)?;
    let seen = look(node, &[&slow], || send(&slow, CONNECTIONS))?;
    let mut played = blamed(&slow, "slow_reader", seen);
    played.truth = played.truth.reader("cpu");
    Ok(played)
}

/// A pod's memory is full of what one of its containers does not read, and another reads as fast as it can: what comes while it
/// is at it is charged in its own context, where a full cgroup refuses. (In softirq these kernels charge all the same.)
pub(super) fn memory_limit(node: &Node) -> Result<Played> {
    const START: i64 = 64 << 20;
    let capped = node.pod(
        Spec::new("shop/capped")
            .label("app", "capped")
            .memory(START),
    )?;
    capped.recipe("app", "leak-server --listen 0.0.0.0:7000")?;
    capped.recipe(
        "sidecar",
        "slow-reader --listen 0.0.0.0:7001 --rate 1000000000",
    )?;
    let clients = outside(
        0,
        capped.endpoint(7000),
        "--connections 40 --do feed:100000",
    )?;
    clients.done(PATIENCE)?;
    let stream = format!(
        "leak-client --to {} --connections 8 --bytes 1000000000 --patience 600000",
        capped.endpoint(7001)
    );
    // Where nothing can be reclaimed, the kernel would end a process, and with it the scenario.
    capped.spare()?;
    let seen = look(node, &[&capped], || {
        capped.limit_memory(capped.memory()?)?;
        let _stream = netns::node_recipe(&stream)?;
        std::thread::sleep(LOOK);
        Ok(())
    })?;
    // What takes the pod away needs some memory too.
    capped.limit_memory(START)?;
    let mut played = blamed(&capped, "memcg_limit", seen);
    played.truth.victims = played.truth.victims.perhaps(&capped.full_name());
    Ok(played)
}
