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
use crate::netns::Recipe;
use crate::report::Report;

/// The server shrinks its buffer below what is queued once these are: every further segment in its window finds a full queue.
const FILLED: &str = "--do in-order:20x1000 --do await";
const SHRINKS: &str = "slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 20000";
/// Rounds of segments that are sent again and again, as a sender does whose segments are not acknowledged.
const ROUNDS: usize = 20;

/// Clients that have filled a reader's queue, and that send the next segment again and again when told to.
struct Senders {
    go: PathBuf,
    clients: Recipe,
}

impl Senders {
    fn start(pod: &Pod) -> Result<Self> {
        let go = PathBuf::from(SHARED).join("senders");
        let _ = fs::remove_file(&go);
        let again = " --do retry:3x1000 --do pause:200".repeat(ROUNDS);
        let clients = outside(
            0,
            pod.endpoint(7000),
            &format!(
                "--connections 4 {FILLED} --do until:{}{again}",
                go.display()
            ),
        )?;
        clients.step("await", PATIENCE)?;
        Ok(Self { go, clients })
    }

    fn go_on(&self) -> Result<()> {
        fs::write(&self.go, "").context("cannot give the word")?;
        self.clients.done(PATIENCE).map(drop)
    }
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
    let senders = Senders::start(&slow)?;
    let seen = look(node, &[&slow], || senders.go_on())?;
    let mut played = blamed(&slow, "slow_reader", seen);
    played.truth = played.truth.reader("idle");
    Ok(played)
}

/// A reader that would be quick enough, if it got the processor time that its work takes.
pub(super) fn throttled(node: &Node) -> Result<Played> {
    let slow = node.pod(Spec::new("shop/throttled").label("app", "throttled"))?;
    let reader = slow.recipe("app", &format!("{SHRINKS} --rate 1000000 --work 20"))?;
    // From now on a thirtieth of a processor: the kubelet does so when a pod is resized in place.
    reader.limit_cpu(30)?;
    let senders = Senders::start(&slow)?;
    let seen = look(node, &[&slow], || senders.go_on())?;
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
