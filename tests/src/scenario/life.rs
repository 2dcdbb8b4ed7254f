//! Pods that come and go within the window.

use anyhow::Result;
use serde_json::Value;

use super::Outcome;
use super::flood::{Watch, flood, slow_reader};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::snmp::Counters;
use crate::tcpress;

/// A namespace born in the window starts from nothing.
pub(super) fn netns_born() -> Result<Outcome> {
    let network = Network::new()?;
    let report = tcpress::report("")?;
    let pod = Pod::new(&network, "shop", "newborn")?;
    let birth: Counters = pod.counters()?;
    let _reader = slow_reader(&pod)?;
    let _client = flood(&pod, 2, "repeat:25x1 retry:1x1")?;
    let kernel = pod.counters()?.since(&birth)?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 50);
    let netns = pod.netns()?;
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_rows(&mut checks, "the newborn", &netns, &kernel);
    report.check_at_rest(&mut checks);
    let state = report
        .row(&netns, "TCPOFODrop")
        .map_or(&Value::Null, |row| &row["state"]);
    checks.equal("the state of its row", state, &"born".into());
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A namespace that goes in the window keeps what was attributed, and its residual is unknown, not 0.
pub(super) fn netns_gone() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "leaving")?;
    let reader = slow_reader(&pod)?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    let client = flood(&pod, 2, "repeat:25x1 retry:1x1")?;
    let (kernel, netns) = (watch.grown()?, pod.netns()?);
    // tcpress looks every second, so it has read the counters once more when the pod leaves.
    std::thread::sleep(std::time::Duration::from_secs(4));
    drop(watch);
    client.stop()?;
    reader.stop()?;
    drop(pod);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let report = report.report()?;
    let mut checks = Checks::new();
    for counter in ["TCPOFODrop", "TCPRcvQDrop"] {
        checks.above_zero(counter, kernel.get(counter));
        let row = report.row(&netns, counter).unwrap_or(&Value::Null);
        checks.equal(
            &format!("state of {counter}"),
            &row["state"],
            &"gone".into(),
        );
        checks.equal(
            &format!("attributed of {counter}"),
            row["attributed"].as_u64(),
            Some(kernel.get(counter)),
        );
        checks.equal(
            &format!("last reading of {counter}"),
            row["kernel"].as_u64(),
            Some(kernel.get(counter)),
        );
        checks.equal(
            &format!("residual of {counter}"),
            &row["residual"],
            &Value::Null,
        );
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}
