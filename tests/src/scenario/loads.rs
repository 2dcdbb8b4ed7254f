//! Loads that several scenarios share, each with its own counters. They are made while tcpress looks, and end at rest.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::flood::{SETTLE, slow_reader, start};
use crate::go::Go;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;

/// How long a recipe may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A buffer that shrinks below what is queued: what lies far beyond a hole is thrown out (`OfoPruned`), what overlaps is collapsed
/// (`TCPRcvCollapsed`), and then everything is refused.
pub(super) fn pruned_queues(pod: &Pod) -> Result<()> {
    let _reader = slow_reader(pod)?;
    let fill = "--connections 2 --do ascending:10x700+0 --do ascending:2x1+40000 --do in-order:20x1000 --do await";
    let steps = "repeat:20x100 ascending:60x1+1 descending:60x1+1 retry:20x100";
    start(pod, fill, steps)?;
    Ok(())
}

/// Requests for connections to a listener that has no room: `ListenDrops`, as many as there are requests.
pub(super) fn unheard(deaf: &Pod, requests: u64) -> Result<()> {
    let _listener = deaf.recipe("deaf-listener --listen 0.0.0.0:7001 --backlog 1")?;
    // Two connections fill the accept queue; every further request is dropped.
    let flood = deaf.outside(&format!(
        "tun --to 10.99.0.1:7001 --connections 2 --do syn:{requests}"
    ))?;
    flood.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    Ok(())
}

/// Segments for a socket whose lock is held, some of them with a wrong checksum, which is no full backlog: `TCPBacklogDrop`.
/// Returns what the reader says of the 1000 bytes that it gets.
pub(super) fn full_backlog(busy: &Pod) -> Result<Value> {
    let go = Go::new("backlog");
    let server = busy.recipe("held-lock --listen 0.0.0.0:7000")?;
    let client = busy.outside(&format!(
        "tun --to 10.99.0.1:7000 --do in-order:1x1000 --do until:{go} --do corrupt:20x500 \
         --do ascending:3000x1+1 --do corrupt:20x500"
    ))?;
    server.done(PATIENCE)?;
    go.give()?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let read = server.stop()?;
    std::thread::sleep(SETTLE);
    Ok(read)
}

/// Senders that close with unsent data while TCP memory is over its limit: `TCPAbortOnMemory`, as many as there are connections. The node comes under pressure and leaves it again: `TCPMemoryPressures` and its `Chrono`.
pub(super) fn abandoned(pod: &Pod, connections: u64) -> Result<()> {
    let go = Go::new("abandon");
    let sizes = "--request 20000 --response 20000";
    let mut traffic = vec![
        pod.recipe("leak-server --listen 0.0.0.0:8080")?,
        pod.recipe(&format!("echo-server --listen 0.0.0.0:6379 {sizes}"))?,
    ];
    let ask = format!(
        "echo-client --to {} --connections 2 --pause 20 {sizes}",
        pod.endpoint(6379)
    );
    traffic.push(pod.recipe(&ask)?);
    let abandon = pod.recipe(&format!(
        "abandon --to {} --connections {connections} --until {go}",
        pod.endpoint(8080)
    ))?;
    abandon.step("full", PATIENCE)?;
    let limits = TcpMem::set(1, 2, 3)?;
    // Those who talk already may have what they need; who begins now must ask for memory.
    traffic.push(pod.recipe(&ask)?);
    std::thread::sleep(Duration::from_millis(500));
    go.give()?;
    abandon.done(PATIENCE)?;
    std::thread::sleep(Duration::from_millis(500));
    drop(limits);
    // Traffic goes on, so that somebody notices that the pressure is over.
    std::thread::sleep(Duration::from_secs(2));
    pod.cut()?;
    std::thread::sleep(SETTLE);
    drop(traffic);
    Ok(())
}
