//! How long prunes kept the CPU, against a stopwatch of the lab's own. Both clocks are the guest's; where an instruction is a nanosecond
//! (`--icount`, one processor) nothing but the calls themselves lies between them.

use anyhow::{Context, Result};

use super::Outcome;
use super::flood::{SETTLE, Watch};
use super::loads::PATIENCE;
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::stopwatch::Stopwatch;
use crate::tcpress;

/// Receive buffers, in bytes as asked for. A prune walks all that lies beyond the hole, so that a larger one costs more.
const BUFFERS: [u32; 3] = [1_000_000, 3_000_000, 8_000_000];

/// Out-of-order queues of many small segments, of three sizes: each further segment prunes and is refused.
pub(super) fn stalls() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "stalled")?;
    let report = tcpress::call("report -o json --duration 6000s").tracing()?;
    let watch = Watch::new(&pod)?;
    let stopwatch = Stopwatch::start("tcp_try_rmem_schedule")?;
    let mut recipes = Vec::new();
    for (number, buffer) in BUFFERS.iter().enumerate() {
        let (port, net) = (7000 + number, format!("10.{}.0", 99 - number));
        recipes.push(pod.recipe(&format!(
            "slow-reader --listen 0.0.0.0:{port} --rcvbuf {buffer}"
        ))?);
        // The smallest segment takes some 768 bytes, so that as many fill twice the buffer that was asked for, and some more.
        let fill = buffer * 2 / 768 + 300;
        let client = pod.outside(&format!(
            "tun --device tun{number} --kernel {net}.1 --client {net}.2 --to {net}.1:{port} --do ascending:{fill}x1+1"
        ))?;
        client.done(PATIENCE * 10)?;
        recipes.push(client);
    }
    std::thread::sleep(SETTLE);
    let mut timed = stopwatch.times()?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let prunes = kernel.get("PruneCalled");
    let mut checks = Checks::new();
    checks.that(prunes >= 600, || format!("only {prunes} prunes"));
    checks.equal("prunes", report.of_victim(&pod, "/prunes"), prunes);
    // An ordinary call is far shorter than any that walks a queue.
    timed.sort_unstable();
    let from = timed.len().checked_sub(usize::try_from(prunes)?);
    let timed = &timed[from.context("fewer calls were timed than pruned")?..];
    let rank = |part: f64| (part * timed.len() as f64).ceil() as usize - 1;
    for (name, at) in [
        ("p50", rank(0.5)),
        ("p99", rank(0.99)),
        ("p999", rank(0.999)),
        ("max", timed.len() - 1),
    ] {
        let (truth, told) = (
            timed[at],
            report.of_victim(&pod, &format!("/stall_percentiles/{name}_ns")),
        );
        eprintln!("lab: {name}: {truth} ns by the stopwatch, {told} ns by tcpress");
        // Four buckets to each power of two.
        let width = 1_u64 << (truth.max(4).ilog2() - 2);
        checks.that(truth.abs_diff(told) <= width, || {
            format!("{name} is {told} ns, by the stopwatch {truth} ns")
        });
    }
    let (truth, told) = (
        timed.iter().sum::<u64>(),
        report.of_victim(&pod, "/stall_ns"),
    );
    eprintln!("lab: sum: {truth} ns by the stopwatch, {told} ns by tcpress, {prunes} prunes");
    checks.that(truth.abs_diff(told) <= truth / 8, || {
        format!("the sum is {told} ns, by the stopwatch {truth} ns")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}
