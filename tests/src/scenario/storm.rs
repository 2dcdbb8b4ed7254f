//! Full TCP memory with many connections in both directions, between pods: the counts still equal the kernel's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::flood::{self, SETTLE, Watch, slow_reader};
use super::{Outcome, number};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::tcpress;

/// Two pods ask each other, both leak, and the memory is a few megabytes.
pub(super) fn tcp_mem_storm() -> Result<Outcome> {
    let network = Network::new()?;
    if let Some(why) = network.lacking() {
        return Ok(Outcome::Skip(why));
    }
    let pods = ["left", "right"].map(|name| Pod::new(&network, "storm", name));
    let pods = pods.into_iter().collect::<Result<Vec<_>>>()?;
    let sizes = "--request 20000 --response 40000";
    let mut recipes = Vec::new();
    for pod in &pods {
        recipes.push(pod.recipe(&format!("echo-server --listen 0.0.0.0:6379 {sizes}"))?);
        recipes.push(pod.recipe("leak-server --listen 0.0.0.0:8080")?);
    }
    let report = tcpress::report("")?;
    let watches = pods.iter().map(Watch::new).collect::<Result<Vec<_>>>()?;
    // Only now: traffic while probes are being attached can trip up an emulated kernel.
    for (from, to) in [(&pods[0], &pods[1]), (&pods[1], &pods[0])] {
        recipes.push(from.recipe(&format!(
            "echo-client --to {} --connections 4 --pause 40 {sizes}",
            to.endpoint(6379)
        ))?);
    }
    let limits = TcpMem::set(1024, 1536, 2048)?;
    for (from, to) in [(&pods[0], &pods[1]), (&pods[1], &pods[0])] {
        recipes.push(from.recipe(&format!(
            "leak-client --to {} --connections 60 --bytes 60000",
            to.endpoint(8080)
        ))?);
    }
    wait_for_refusals(&watches)?;
    for pod in &pods {
        pod.cut()?;
    }
    std::thread::sleep(SETTLE);
    let kernel = watches
        .iter()
        .map(Watch::grown)
        .collect::<Result<Vec<_>>>()?;
    let report = report.report()?;
    drop(limits);
    let mut checks = Checks::new();
    let rows = report.list("/reconciliation").iter();
    let off = rows.filter(|row| row["residual"].as_i64().is_some_and(|it| it != 0));
    if off.count() > 0 && report.at("/losses/possible_misses").as_u64() > Some(0) {
        // As under load: what may be missing is printed.
        checks.that(report.summary().contains("not exact"), || {
            format!("the summary hides it: {}", report.summary())
        });
        checks.finish()?;
        return Ok(Outcome::Pass);
    }
    for (pod, kernel) in pods.iter().zip(&kernel) {
        checks.above_zero("the kernel's PruneCalled", kernel.get("PruneCalled"));
        checks.above_zero("the kernel's refusals", kernel.refusals());
        report.check_rows(&mut checks, &pod.full_name(), &pod.netns()?, kernel);
        report.check_refusals(&mut checks, pod, kernel);
    }
    report.check_at_rest(&mut checks);
    checks.equal("the limit", report.at("/verdict/limit"), &"tcp_mem".into());
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Lets it go on for a while, and, however slow the machine is, until something was refused in each pod; a minute at most.
fn wait_for_refusals(watches: &[Watch<'_>]) -> Result<()> {
    for _ in 0..10 {
        std::thread::sleep(Duration::from_secs(6));
        let grown = watches.iter().map(Watch::grown);
        let grown = grown.collect::<Result<Vec<_>>>()?;
        if grown.iter().all(|kernel| kernel.refusals() > 0) {
            break;
        }
    }
    Ok(())
}

/// A machine with no processor idle, traffic between processes of it, and TCP memory over its pressure line: packets are processed
/// in the context of whoever sends, and wait in backlogs. Every count equals the kernel's, unless the report says how many may have
/// been missed.
pub(super) fn loaded() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "storm", "loaded")?;
    let sizes = "--request 20000 --response 40000";
    let mut recipes = vec![
        pod.recipe(&format!("echo-server --listen 0.0.0.0:6379 {sizes}"))?,
        pod.recipe("leak-server --listen 0.0.0.0:8080")?,
    ];
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    // Before there is no time left, and no memory.
    recipes.push(pod.recipe(&format!(
        "echo-client --to {} --connections 8 --pause 10 {sizes}",
        pod.endpoint(6379)
    ))?);
    recipes.push(pod.recipe(&format!(
        "leak-client --to {} --connections 100 --bytes 60000",
        pod.endpoint(8080)
    ))?);
    let busy = Arc::new(AtomicBool::new(true));
    let processors = std::thread::available_parallelism()?.get();
    let spinning: Vec<_> = (0..processors)
        .map(|_| {
            let busy = Arc::clone(&busy);
            std::thread::spawn(move || while busy.load(Ordering::Relaxed) {})
        })
        .collect();
    let limits = TcpMem::set(300, 400, 600)?;
    wait_for_refusals(std::slice::from_ref(&watch))?;
    busy.store(false, Ordering::Relaxed);
    for thread in spinning {
        let _ = thread.join();
    }
    pod.cut()?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    drop(limits);
    let possible = report.at("/losses/possible_misses").as_u64().unwrap_or(0);
    let rows = report.list("/reconciliation").iter();
    let off = rows
        .filter(|row| row["residual"].as_i64().is_some_and(|it| it != 0))
        .count();
    eprintln!("lab: {kernel}; {off} residuals are not 0; possible misses {possible}");
    let mut checks = Checks::new();
    checks.above_zero("the kernel's PruneCalled", kernel.get("PruneCalled"));
    checks.above_zero("the kernel's refusals", kernel.refusals());
    if possible > 0 && off > 0 {
        checks.that(report.summary().contains("not exact"), || {
            format!(
                "the summary hides what may be missing: {}",
                report.summary()
            )
        });
    } else {
        report.check_rows(&mut checks, "the loaded", &pod.netns()?, &kernel);
        report.check_refusals(&mut checks, &pod, &kernel);
        if possible > 0 {
            report.check_at_rest_beside_misses(&mut checks);
        } else {
            report.check_at_rest(&mut checks);
        }
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A receive queue over a shrunk buffer, then the same segment out of order again and again: each is refused. How many, the
/// environment may say in `TCPRESS_STORM`.
pub(super) fn storm() -> Result<Outcome> {
    const CONNECTIONS: u64 = 4;
    let wanted = number("TCPRESS_STORM", 20_000)?;
    let network = Network::new()?;
    let slow = Pod::new(&network, "storm", "slow")?;
    let _reader = slow_reader(&slow)?;
    let report = tcpress::call("report -o json --selfcheck --duration 6000s").tracing()?;
    let watch = Watch::new(&slow)?;
    let client = flood::storm(&slow, CONNECTIONS, wanted)?;
    let start = Instant::now();
    client.done(Duration::from_secs(5200))?;
    let took = start.elapsed();
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    eprintln!(
        "storm: {} refusals in {:.1} minutes, {:.0} a second; {}",
        kernel.refusals(),
        took.as_secs_f64() / 60.0,
        kernel.refusals() as f64 / took.as_secs_f64(),
        report.at("/losses")
    );
    let mut checks = Checks::new();
    checks.that(kernel.get("TCPOFODrop") >= wanted, || {
        format!(
            "the kernel refused {} of {wanted}",
            kernel.get("TCPOFODrop")
        )
    });
    report.check_refusals(&mut checks, &slow, &kernel);
    report.check_limit(&mut checks, &slow, "rcvbuf", kernel.refusals());
    report.check_rows(&mut checks, "the slow reader", &slow.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.above_zero(
        "evidence that was held back",
        report
            .at("/losses/suppressed_evidence")
            .as_u64()
            .unwrap_or(0),
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}
