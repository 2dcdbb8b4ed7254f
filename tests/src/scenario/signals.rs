//! Evidence and the ends of a run: live lines, their rate limit, full rings and full tallies, Ctrl-C and broken pipes.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::Outcome;
use super::flood::{Watch, count, flood, slow_reader, storm};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::is_pod;
use crate::tcpress;

/// Lines of `trace` that are refusals of a pod.
fn refusals<'a>(lines: &'a [Value], pod: &'a Pod) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(|line| {
        !["forced", "admitted"].contains(&line["queue"].as_str().unwrap_or_default())
            && is_pod(&line["owner"], pod)
    })
}

/// Live lines appear, parse, and name owner, queue and limit.
pub(super) fn trace() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&slow)?;
    let trace = tcpress::call("trace -o ndjson").tracing()?;
    let watch = Watch::new(&slow)?;
    let _client = flood(&slow, 1, "repeat:3x100 retry:1x100")?;
    // A line is there while the trace runs, not only at its end.
    trace.line(Duration::from_secs(60), |line| line.contains("\"queue\""))?;
    let kernel = watch.grown()?;
    let lines = tcpress::parse_lines(&trace.interrupt()?)?;
    let mut checks = Checks::new();
    let queue = |queue: &str| count(refusals(&lines, &slow), |line| line["queue"] == queue);
    checks.above_zero("the kernel's TCPRcvQDrop", kernel.get("TCPRcvQDrop"));
    checks.equal(
        "lines of the queue ofo",
        queue("ofo"),
        kernel.get("TCPOFODrop"),
    );
    checks.equal(
        "lines of the queue rcv",
        queue("rcv"),
        kernel.get("TCPRcvQDrop"),
    );
    let netns = slow.netns()?;
    for line in refusals(&lines, &slow) {
        let (local, remote) = (&line["local"], &line["remote"]);
        checks.that(line["limit"] == "rcvbuf" && line["netns"] == netns, || {
            format!("a wrong line: {line}")
        });
        checks.that(
            local == "10.99.0.1:7000" && remote == "10.99.0.2:10000",
            || format!("wrong addresses: {local} {remote}"),
        );
        // By definition of this limit.
        checks.that(
            line["rmem_alloc_bytes"].as_u64() > line["rcvbuf_bytes"].as_u64(),
            || format!("rcvbuf was not exceeded: {line}"),
        );
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Three refusals of one pod show beside very many of another.
pub(super) fn rate_limit() -> Result<Outcome> {
    let network = Network::new()?;
    let (loud, quiet) = (
        Pod::new(&network, "shop", "loud")?,
        Pod::new(&network, "shop", "quiet")?,
    );
    let (_first, _second) = (slow_reader(&loud)?, slow_reader(&quiet)?);
    let trace = tcpress::call("trace -o ndjson").tracing()?;
    let (loud_watch, quiet_watch) = (Watch::new(&loud)?, Watch::new(&quiet)?);
    let _noise = storm(&loud, 1, 8_000)?;
    let _client = flood(&quiet, 1, "repeat:3x1")?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while loud_watch.grown()?.get("TCPOFODrop") < 8_000 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (loud_kernel, quiet_kernel) = (loud_watch.grown()?, quiet_watch.grown()?);
    let lines = tcpress::parse_lines(&trace.interrupt()?)?;
    let mut checks = Checks::new();
    checks.equal(
        "the kernel's refusals of the loud pod",
        loud_kernel.refusals(),
        8_000,
    );
    checks.equal(
        "the kernel's refusals of the quiet pod",
        quiet_kernel.refusals(),
        3,
    );
    checks.equal(
        "lines of the quiet pod",
        count(refusals(&lines, &quiet), |_| true),
        3,
    );
    let loud_lines = count(refusals(&lines, &loud), |_| true);
    checks.that((1..8_000).contains(&loud_lines), || {
        format!("{loud_lines} lines of the loud pod")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A ring buffer of one page: the counts still hold, and the lost evidence is counted.
pub(super) fn ring_full() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&slow)?;
    let report = tcpress::report("--ring-bytes 4096")?;
    let watch = Watch::new(&slow)?;
    let _client = flood(&slow, 4, "repeat:2000x1")?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 8000);
    report.check_refusals(&mut checks, &slow, &kernel);
    report.check_rows(&mut checks, "the slow reader", &slow.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    let lost = |name: &str| report.at(&format!("/losses/{name}")).as_u64();
    let shown = u64::try_from(report.list("/evidence").len())?;
    let unseen = lost("ring_full").unwrap_or(0) + lost("suppressed_evidence").unwrap_or(0);
    checks.that(shown + unseen > 0 && unseen > 0, || {
        format!(
            "evidence was lost and not counted: {}",
            report.at("/losses")
        )
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Ctrl-C ends the window early, with a whole report.
pub(super) fn interrupt() -> Result<Outcome> {
    let report = tcpress::report("")?;
    std::thread::sleep(Duration::from_secs(1));
    let start = Instant::now();
    let report = report.report()?;
    let mut checks = Checks::new();
    let took = start.elapsed();
    checks.that(took < Duration::from_secs(60), || {
        format!("the end took {took:?}")
    });
    let window = report.at("/window/duration_ns").as_u64();
    // Of the 300 s that it would have been.
    let range = 900_000_000..60_000_000_000;
    checks.that(window.is_some_and(|window| range.contains(&window)), || {
        format!("the window is {window:?} ns")
    });
    checks.equal(
        "the evidence",
        report.at("/verdict/evidence"),
        &"probes".into(),
    );
    checks.equal(
        "culprits without any refusal",
        report.list("/culprits").len(),
        0,
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Nobody reads stdout: no error, no words of a panic.
pub(super) fn broken_pipe() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&slow)?;
    let mut checks = Checks::new();
    let mut check = |what: &str, finished: Result<crate::process::Finished>| {
        let Some(finished) = checks.succeeds(what, finished) else {
            return;
        };
        checks.succeeds(what, finished.expect_code(0));
        let panicked = finished
            .stderr
            .iter()
            .find(|line| line.contains("panicked"));
        checks.that(panicked.is_none(), || format!("{what}: {panicked:?}"));
    };
    for what in [
        "report --duration 0",
        "report --duration 0 -o json",
        "doctor",
        "--help",
    ] {
        check(what, tcpress::call(what).deaf().run());
    }
    // A trace without a reader ends by itself at its first line.
    let trace = tcpress::call("trace -o ndjson").deaf().tracing()?;
    let _client = flood(&slow, 1, "repeat:3x1 pause:500 repeat:3x1")?;
    check("trace", trace.finish());
    checks.finish()?;
    Ok(Outcome::Pass)
}
