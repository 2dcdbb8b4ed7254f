//! Which limit refused: the socket's own buffer, the node's memory, a repair write; with and without kernel programs.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Outcome;
use super::flood::{SETTLE, Watch, flood, slow_reader, start};
use super::loads::pruned_queues;
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::is_pod;
use crate::{demo, tcpress};

/// A slow reader with a small receive buffer is flooded, in order and out of order; a big holder beside it is innocent.
pub(super) fn rcvbuf() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let innocent = Pod::new(&network, "batch", "innocent")?;
    let _holder = innocent.recipe("leak-server --listen 0.0.0.0:8080")?;
    let feed = innocent.outside("tun --to 10.99.0.1:8080 --connections 100 --do feed:40000")?;
    let held = feed.done(Duration::from_secs(80))?;
    ensure!(
        held["acknowledged_bytes"].as_u64() >= Some(3_000_000),
        "the innocent holder holds too little: {held}"
    );

    let _reader = slow_reader(&slow)?;
    let report = tcpress::report("")?;
    let (watch, beside) = (Watch::new(&slow)?, Watch::new(&innocent)?);
    let _client = flood(
        &slow,
        3,
        "repeat:30x100 ascending:40x1+1 descending:40x1+1 retry:10x100 in-order:5x500",
    )?;
    let (kernel, kernel_beside) = (watch.grown()?, beside.grown()?);
    let report = report.report()?;

    let mut checks = Checks::new();
    checks.above_zero("the kernel's TCPRcvQDrop", kernel.get("TCPRcvQDrop"));
    checks.above_zero("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"));
    report.check_refusals(&mut checks, &slow, &kernel);
    report.check_limit(&mut checks, &slow, "rcvbuf", kernel.refusals());
    report.check_stalls(&mut checks, &slow);
    report.check_rows(&mut checks, "the slow reader", &slow.netns()?, &kernel);
    report.check_rows(
        &mut checks,
        "the innocent",
        &innocent.netns()?,
        &kernel_beside,
    );
    report.check_at_rest(&mut checks);
    report.check_nobody_else_accused(&mut checks, &slow, &innocent);
    checks.equal("the limit", report.at("/verdict/limit"), &"rcvbuf".into());
    checks.that(report.victims(&innocent).next().is_none(), || {
        "the innocent is called a victim".into()
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// The incident of the demo.
pub(super) fn tcp_mem() -> Result<Outcome> {
    if let Some(why) = Network::new()?.lacking() {
        return Ok(Outcome::Skip(why));
    }
    demo::play(None)?;
    Ok(Outcome::Pass)
}

/// Without kernel programs the holder of a leak is still named.
pub(super) fn no_bpf() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _leak = leaky.recipe("leak-server --listen 0.0.0.0:8080")?;
    let feed = leaky.outside("tun --to 10.99.0.1:8080 --connections 100 --do feed:30000")?;
    let fed = feed.done(Duration::from_secs(80))?;
    let report = tcpress::snapshot("--no-bpf")?;
    let mut checks = Checks::new();
    let holder = report.at("/holders/0");
    checks.that(is_pod(&holder["owner"], &leaky), || {
        format!(
            "the first holder is not the leak: {:?}",
            report.names("/holders")
        )
    });
    checks.equal(
        "unread bytes of the holder",
        &holder["unread_bytes"],
        &fed["acknowledged_bytes"],
    );
    checks.equal(
        "connections of the holder, and its listener",
        &holder["sockets"],
        &101.into(),
    );
    checks.equal(
        "the evidence",
        report.at("/verdict/evidence"),
        &"counters".into(),
    );
    checks.equal(
        "culprits without any refusal",
        report.list("/culprits").len(),
        0,
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Writes in repair mode are refused: the queue is `send_rcvq`.
pub(super) fn repair() -> Result<Outcome> {
    let network = Network::new()?;
    let restored = Pod::new(&network, "shop", "restored")?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&restored)?;
    let recipe = restored.recipe("repair --refusals 7")?;
    let done = recipe.done(Duration::from_secs(60))?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal(
        "refused writes and the kernel's TCPRcvQDrop",
        done["refused"].as_u64(),
        Some(kernel.get("TCPRcvQDrop")),
    );
    checks.equal(
        "refusals of the queue send_rcvq",
        report.of_victim(&restored, "/refusals/send_rcvq"),
        kernel.get("TCPRcvQDrop"),
    );
    checks.equal(
        "refusals of the queue rcv",
        report.of_victim(&restored, "/refusals/rcv"),
        0,
    );
    report.check_refusals(&mut checks, &restored, &kernel);
    report.check_rows(&mut checks, "the restored pod", &restored.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// What a shrunk buffer makes the kernel throw out and collapse.
pub(super) fn queues() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&slow)?;
    pruned_queues(&slow)?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    for counter in ["OfoPruned", "TCPRcvCollapsed", "TCPOFODrop", "TCPRcvQDrop"] {
        checks.above_zero(&format!("the kernel's {counter}"), kernel.get(counter));
    }
    report.check_refusals(&mut checks, &slow, &kernel);
    report.check_rows(&mut checks, "the slow reader", &slow.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Out-of-order segments before and after the wrap of the sequence numbers are all out of order.
pub(super) fn wrap() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&slow)?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&slow)?;
    // The stream's 20,000 bytes end 100 before the wrap; the segments lie on both sides of it.
    let isn = u32::MAX - 20_100;
    let fill = format!("--connections 2 --isn {isn} --do in-order:20x1000 --do await");
    let _client = start(
        &slow,
        &fill,
        "ascending:40x1+9 repeat:5x500 descending:40x1+9",
    )?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    // Both connections' 40 + 5 + 40 segments meet a queue that is over its buffer.
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 2 * 85);
    checks.equal("the kernel's TCPRcvQDrop", kernel.get("TCPRcvQDrop"), 0);
    report.check_refusals(&mut checks, &slow, &kernel);
    report.check_limit(&mut checks, &slow, "rcvbuf", kernel.refusals());
    report.check_rows(&mut checks, "the slow reader", &slow.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}
