//! What ends in the middle of a storm: the server with its sockets, and tcpress itself.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Outcome;
use super::flood::{self, SETTLE, Watch, slow_reader};
use super::loads::PATIENCE;
use crate::bpf;
use crate::check::Checks;
use crate::go::Go;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::is_pod;
use crate::{sys, tcpress};

/// The server is killed while its sockets are being refused: nothing of them is left half counted.
pub(super) fn dying_sockets() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "dying")?;
    let reader = slow_reader(&pod)?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    let client = flood::storm(&pod, 4, 8_000)?;
    wait_for_refusals(&watch, 200)?;
    sys::signal(reader.pid(), libc::SIGKILL)?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_rows(&mut checks, "the dying pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Connections that are closed with unsent data while there is memory enough: the kernel keeps them as orphans until their peer takes
/// it. They are counted with the time, and by the pod that closed them.
pub(super) fn orphans() -> Result<Outcome> {
    const CONNECTIONS: u64 = 7;
    let go = Go::new("orphans");
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "parent")?;
    let _server = pod.recipe("leak-server --listen 0.0.0.0:8080")?;
    let abandon = pod.recipe(&format!(
        "abandon --to {} --connections {CONNECTIONS} --until {go}",
        pod.endpoint(8080)
    ))?;
    abandon.step("full", PATIENCE)?;
    let report = tcpress::report("")?;
    go.give()?;
    abandon.done(PATIENCE)?;
    // tcpress looks every second.
    std::thread::sleep(Duration::from_secs(3));
    let report = report.report()?;
    let mut checks = Checks::new();
    let moments = report.list("/timeline").iter();
    let last = moments.filter_map(|it| it["orphans"].as_u64()).next_back();
    // Others may have left some.
    let node = report.at("/tcp_memory/orphans").as_u64();
    checks.that(last >= Some(CONNECTIONS) && node >= Some(CONNECTIONS), || {
        format!("{last:?} orphans in the timeline, {node:?} of the node, {CONNECTIONS} of this pod alone")
    });
    if report.tells_sockets() {
        let holders = report.list("/holders").iter();
        let own: u64 = holders
            .filter(|holder| is_pod(&holder["owner"], &pod))
            .filter_map(|holder| holder["orphans"].as_u64())
            .sum();
        checks.equal("orphans of the pod", own, CONNECTIONS);
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// tcpress is killed in the middle of a storm: nothing of it stays in the kernel, and the next one counts right.
pub(super) fn killed() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&pod)?;
    let before = bpf::programs()?;
    let first = tcpress::report("")?;
    let during = bpf::programs()?;
    let watch = Watch::new(&pod)?;
    let client = flood::storm(&pod, 2, 6_000)?;
    wait_for_refusals(&watch, 200)?;
    first.kill()?;
    client.done(PATIENCE)?;
    client.stop()?;
    // The kernel frees programs some time after the last reference has gone.
    let end = Instant::now() + Duration::from_secs(40);
    while bpf::programs()? > before && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = bpf::programs()?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    // From another address: the server still has the connections of the first client.
    let client = pod.outside(
        "tun --device tun1 --kernel 10.98.0.1 --client 10.98.0.2 --to 10.98.0.1:7000 \
         --do in-order:20x1000 --do await --do repeat:25x1",
    )?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.that(during > before, || {
        format!("{before} programs before, {during} with tcpress")
    });
    checks.equal("programs after it was killed", after, before);
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 25);
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_rows(&mut checks, "the slow pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

fn wait_for_refusals(watch: &Watch<'_>, many: u64) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while watch.grown()?.refusals() < many {
        if Instant::now() > end {
            bail!("fewer than {many} segments were refused");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
