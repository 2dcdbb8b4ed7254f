//! Readers that take data out of the queue in the middle of its arrival: sockmap, and the subflows of Multipath TCP. Whether a
//! segment is thrown away is then decided after the queue was drained.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Outcome;
use super::flood::{SETTLE, Watch};
use super::loads::PATIENCE;
use crate::bpf::SockMap;
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::tcpress;

/// Connections in a sockmap with a parser and a verdict: what arrives in order leaves the receive queue at once and waits elsewhere,
/// charged to the same buffer, which is shrunk. From 6.2 on an empty queue means that a segment is forced in; beyond a hole all
/// kernels refuse.
pub(super) fn sockmap() -> Result<Outcome> {
    if let Err(error) = SockMap::new(1) {
        return Ok(Outcome::Skip(format!("this kernel has none: {error:#}")));
    }
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "spliced")?;
    let _reader = pod
        .recipe("slow-reader --sockmap --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 0")?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    // The first byte that the server sends says that the buffer is shrunk and the connection in the map.
    let client = pod.outside(
        "tun --to 10.99.0.1:7000 --connections 2 --do await --do in-order:40x1000 --do repeat:20x100",
    )?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    eprintln!(
        "lab: {kernel}; forced admissions {}",
        report.of_victim(&pod, "/forced_admissions")
    );
    let mut checks = Checks::new();
    checks.above_zero(
        "the kernel's PruneCalled or refusals",
        kernel.get("PruneCalled") + kernel.refusals(),
    );
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_limit(&mut checks, &pod, "rcvbuf", kernel.refusals());
    report.check_rows(&mut checks, "the spliced pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Connections of Multipath TCP that did not fall back. What the connection has no room for stays with its subflow, and then that
/// has none either: the buffer shrinks while a second flight of segments is under way, which the window had let go.
pub(super) fn mptcp_subflows() -> Result<Outcome> {
    if !Path::new("/proc/sys/net/mptcp").exists() {
        return Ok(Outcome::Skip("this kernel has no Multipath TCP".into()));
    }
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "multipath")?;
    if let Err(error) = pod.delay_loopback(300) {
        return Ok(Outcome::Skip(format!(
            "nothing can be delayed here, the module netem is not there: {error:#}"
        )));
    }
    let _reader = pod.recipe(
        "slow-reader --mptcp --listen 127.0.0.1:7000 --shrink-to 2048 --shrink-after 2000",
    )?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    let client = pod.recipe(
        "leak-client --mptcp --to 127.0.0.1:7000 --connections 4 --bytes 60000 --patience 4000",
    )?;
    client.done(PATIENCE)?;
    // What was sent is under way for some round trips.
    let end = Instant::now() + Duration::from_secs(40);
    while watch.grown()?.refusals() == 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    pod.cut()?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    eprintln!("lab: {kernel}");
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("handshakes of Multipath TCP", handshakes(&pod)?, 4);
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_limit(&mut checks, &pod, "rcvbuf", kernel.refusals());
    report.check_rows(&mut checks, "the multipath pod", &pod.netns()?, &kernel);
    checks.finish()?;
    if kernel.refusals() == 0 {
        return Ok(Outcome::Skip(
            "this kernel refuses nothing of subflows: what the connection has no room for does not reach them".into(),
        ));
    }
    let mut checks = Checks::new();
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Connections of Multipath TCP that were accepted as such (`MPCapableSYNRX` and `MPCapableACKRX` of `MPTcpExt`): the last of the
/// handshake.
fn handshakes(pod: &Pod) -> Result<u64> {
    let text = std::fs::read_to_string(pod.proc("net/netstat"))?;
    let mut rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("MPTcpExt: "));
    let (names, values) = rows.next().zip(rows.next()).context("no MPTcpExt")?;
    let mut pairs = names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace());
    let (_, value) = pairs
        .find(|(name, _)| *name == "MPCapableACKRX")
        .context("no MPCapableACKRX")?;
    Ok(value.parse()?)
}
