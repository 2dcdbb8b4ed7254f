//! Drops beside admission: each counter of the kernel is moved by a recipe of its own, and tcpress says the same, of the right pod.

use std::path::Path;

use anyhow::Result;

use super::Outcome;
use super::flood::{SETTLE, Watch, flood, slow_reader};
use super::loads::{PATIENCE, abandoned, full_backlog, unheard};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::is_pod;
use crate::snmp::Delta;
use crate::tcpress;

/// Data for a window of 0: of a reader whose buffer shrank, of one whose window was filled to its end, and of one with an empty
/// receive queue whose window was taken back because small segments beyond a hole fill the buffer. No kernel counts all three
/// (`tcp_sequence` refuses some before `tcp_data_queue` sees them), and each counts one.
pub(super) fn zero_window() -> Result<Outcome> {
    let network = Network::new()?;
    let shrunk = Pod::new(&network, "shop", "shrunk")?;
    let full = Pod::new(&network, "shop", "full")?;
    let holes = Pod::new(&network, "shop", "holes")?;
    let _shrunk = slow_reader(&shrunk)?;
    let _full = full.recipe("slow-reader --listen 0.0.0.0:7000 --rcvbuf 8192")?;
    let _holes = holes.recipe(
        "slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 0 --take-window-back",
    )?;
    let report = tcpress::report("")?;
    let pods = [&shrunk, &full, &holes];
    let watches = pods.map(Watch::new);
    let _flood = flood(
        &shrunk,
        2,
        "repeat:5x100 retry:40x100 pause:50 retry:40x100",
    )?;
    let fill = full.outside("tun --to 10.99.0.1:7000 --do feed:200000 --do retry:40x100")?;
    fill.done(PATIENCE)?;
    let small = holes
        .outside("tun --to 10.99.0.1:7000 --do await --do ascending:60x1+1 --do retry:40x100")?;
    small.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel: Vec<Delta> = watches
        .into_iter()
        .map(|watch| watch?.grown())
        .collect::<Result<_>>()?;
    for (pod, kernel) in pods.iter().zip(&kernel) {
        eprintln!("lab: {}: {kernel}", pod.name);
    }
    let report = report.report()?;
    let mut checks = Checks::new();
    let mut all = 0;
    for (pod, kernel) in pods.into_iter().zip(&kernel) {
        let dropped = kernel.get("TCPZeroWindowDrop");
        all += dropped;
        report.check_rows(&mut checks, &pod.full_name(), &pod.netns()?, kernel);
        checks.equal(
            &format!("segments of {} for a window of 0", pod.full_name()),
            report.of_victim(pod, "/zero_window_drops"),
            dropped,
        );
    }
    report.check_at_rest(&mut checks);
    checks.above_zero("the kernel's TCPZeroWindowDrop", all);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Connections of Multipath TCP that fell back to TCP: some kernels refuse their segments before any admission (7.3).
pub(super) fn mptcp_fallback() -> Result<Outcome> {
    if !Path::new("/proc/sys/net/mptcp").exists() {
        return Ok(Outcome::Skip("this kernel has no Multipath TCP".into()));
    }
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "multipath")?;
    let _reader = pod.recipe(
        "slow-reader --mptcp --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 20000",
    )?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    let client = pod.outside(
        "tun --mptcp --to 10.99.0.1:7000 --connections 2 --do in-order:20x1000 --do await \
         --do retry:30x100 --do repeat:10x100",
    )?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    eprintln!("lab: {kernel}");
    let report = report.report()?;
    let mut checks = Checks::new();
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_limit(&mut checks, &pod, "rcvbuf", kernel.refusals());
    report.check_rows(&mut checks, "the reader", &pod.netns()?, &kernel);
    checks.finish()?;
    if kernel.refusals() == 0 {
        return Ok(Outcome::Skip(
            "this kernel refuses nothing of connections that fell back".into(),
        ));
    }
    let mut checks = Checks::new();
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Requests for connections to a listener that has no room.
pub(super) fn syn_flood() -> Result<Outcome> {
    const REQUESTS: u64 = 200;
    let network = Network::new()?;
    let deaf = Pod::new(&network, "shop", "deaf")?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&deaf)?;
    unheard(&deaf, REQUESTS)?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal(
        "the kernel's ListenDrops",
        kernel.get("ListenDrops"),
        REQUESTS,
    );
    checks.equal(
        "connection requests that were dropped",
        report.of_victim(&deaf, "/listen_drops"),
        kernel.get("ListenDrops"),
    );
    report.check_rows(&mut checks, "the deaf listener", &deaf.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Senders that close with unsent data while TCP memory is over its limit; the node comes under pressure and leaves it again. In one
/// pod, over its loopback device: process context as well as softirq.
pub(super) fn oom_abort() -> Result<Outcome> {
    const CONNECTIONS: u64 = 5;
    let network = Network::new()?;
    let sender = Pod::new(&network, "shop", "sender")?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&sender)?;
    abandoned(&sender, CONNECTIONS)?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal(
        "the kernel's TCPAbortOnMemory",
        kernel.get("TCPAbortOnMemory"),
        CONNECTIONS,
    );
    for counter in ["TCPMemoryPressures", "TCPMemoryPressuresChrono"] {
        checks.above_zero(&format!("the kernel's {counter}"), kernel.get(counter));
    }
    checks.equal(
        "connections that were ended",
        report.of_victim(&sender, "/aborts_on_memory"),
        kernel.get("TCPAbortOnMemory"),
    );
    let pressures = report.list("/tcp_memory/pressures").iter();
    let entered: u64 = pressures.filter_map(|it| it["entered"].as_u64()).sum();
    checks.equal(
        "times that pressure was entered",
        entered,
        kernel.get("TCPMemoryPressures"),
    );
    // Evidence, which a kprobe that was skipped does not send: the counts above say whether one was.
    if entered == kernel.get("TCPMemoryPressures") {
        let moments = |event: &str| {
            let all = report.list("/timeline").iter();
            all.filter(|moment| moment["event"] == event)
                .collect::<Vec<_>>()
        };
        // What an earlier scenario left orphaned may end in these seconds too: it is of another network namespace.
        let mut aborts = moments("abort_on_memory");
        let here = sender.netns()?;
        aborts.retain(|it| it["netns"] == here.as_str());
        checks.equal("aborts in the timeline", aborts.len() as u64, CONNECTIONS);
        checks.that(
            aborts.iter().all(|it| is_pod(&it["owner"], &sender)),
            || format!("another owner of aborts: {aborts:?}"),
        );
        checks.equal(
            "times that pressure was entered in the timeline",
            moments("pressure_entered").len() as u64,
            entered,
        );
        let left = moments("pressure_left");
        let lasted: u64 = left
            .iter()
            .filter_map(|it| it["duration_ms"].as_u64())
            .sum();
        checks.equal(
            "how long pressures lasted in the timeline",
            lasted,
            kernel.get("TCPMemoryPressuresChrono"),
        );
    }
    report.check_rows(&mut checks, "the sender", &sender.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Segments for a socket whose lock is held, some of them with a wrong checksum, which is no full backlog.
pub(super) fn backlog() -> Result<Outcome> {
    let network = Network::new()?;
    let busy = Pod::new(&network, "shop", "busy")?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&busy)?;
    let read = full_backlog(&busy)?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal(
        "bytes that the reader got",
        read["read_bytes"].as_u64(),
        Some(1000),
    );
    checks.above_zero("the kernel's TCPBacklogDrop", kernel.get("TCPBacklogDrop"));
    checks.equal(
        "segments that found a full backlog",
        report.of_victim(&busy, "/backlog_drops"),
        kernel.get("TCPBacklogDrop"),
    );
    report.check_rows(&mut checks, "the busy reader", &busy.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}
