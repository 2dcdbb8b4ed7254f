//! Tables that are too small for what happens: the sums hold all the same, and what has no owner says so.

use anyhow::Result;
use serde_json::Value;

use super::Outcome;
use super::flood::{Watch, flood, slow_reader};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::Report;
use crate::snmp::Delta;
use crate::tcpress;

/// Three pods, each with a network namespace of its own.
fn three() -> Result<(Network, Vec<Pod>)> {
    let network = Network::new()?;
    let pods = ["one", "two", "three"].map(|name| Pod::new(&network, "shop", name));
    let pods = pods.into_iter().collect::<Result<Vec<_>>>()?;
    Ok((network, pods))
}

/// Each pod is refused some segments on two connections, while tables have those sizes; what the kernel counted for each.
fn refused(pods: &[Pod], sizes: &str) -> Result<(Vec<Delta>, Report)> {
    let _readers = pods.iter().map(slow_reader).collect::<Result<Vec<_>>>()?;
    let report = tcpress::report(sizes)?;
    let watches = pods.iter().map(Watch::new).collect::<Result<Vec<_>>>()?;
    let _clients = pods
        .iter()
        .map(|pod| flood(pod, 2, "repeat:20x1 retry:1x1"))
        .collect::<Result<Vec<_>>>()?;
    let kernel = watches
        .iter()
        .map(Watch::grown)
        .collect::<Result<Vec<_>>>()?;
    Ok((kernel, report.report()?))
}

/// All victims together must have what the kernel refused, and some of it must have no owner.
fn check_sums(checks: &mut Checks, report: &Report, kernel: &[Delta]) {
    for (queue, counter) in [("ofo", "TCPOFODrop"), ("rcv", "TCPRcvQDrop")] {
        let victims = report.list("/victims").iter();
        let told: u64 = victims
            .filter_map(|victim| victim["refusals"][queue].as_u64())
            .sum();
        let all: u64 = kernel.iter().map(|kernel| kernel.get(counter)).sum();
        checks.above_zero(&format!("the kernel's {counter}"), all);
        checks.equal(&format!("{counter} of all victims"), told, all);
    }
    let unattributed = |victim: &Value| victim["owner"]["kind"] == "unattributed";
    checks.that(report.list("/victims").iter().any(unattributed), || {
        format!(
            "nothing is called unattributed: {:?}",
            report.names("/victims")
        )
    });
}

fn lost(report: &Report, name: &str) -> u64 {
    report.at(&format!("/losses/{name}")).as_u64().unwrap_or(0)
}

/// Room for one owner and one socket only: counts of the others stand with their network namespaces.
pub(super) fn tallies_full() -> Result<Outcome> {
    let (_network, pods) = three()?;
    let (kernel, report) = refused(&pods, "--max-owners 1 --max-sockets 1")?;
    let mut checks = Checks::new();
    for (pod, kernel) in pods.iter().zip(&kernel) {
        report.check_rows(&mut checks, &pod.full_name(), &pod.netns()?, kernel);
    }
    report.check_at_rest(&mut checks);
    check_sums(&mut checks, &report, &kernel);
    for name in ["tallies_full", "sockets_full"] {
        checks.above_zero(&format!("losses.{name}"), lost(&report, name));
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Room for one network namespace besides: the sum over all is compared, and each carries how far it may be off.
pub(super) fn namespaces_full() -> Result<Outcome> {
    let (_network, pods) = three()?;
    let sizes = "--max-owners 1 --max-namespaces 1 --max-sockets 1";
    let (kernel, report) = refused(&pods, sizes)?;
    let mut checks = Checks::new();
    for counter in ["TCPOFODrop", "TCPRcvQDrop", "PruneCalled"] {
        let row = report.row("0", counter).unwrap_or(&Value::Null);
        let all: u64 = kernel.iter().map(|kernel| kernel.get(counter)).sum();
        let what = format!("{counter} of all namespaces");
        checks.equal(&what, row["kernel"].as_u64(), Some(all));
        checks.equal(&format!("residual of {what}"), &row["residual"], &0.into());
        for pod in &pods {
            let row = report.row(&pod.netns()?, counter).unwrap_or(&Value::Null);
            let bounded = row["residual"].as_u64().zip(row["bound"].as_u64());
            checks.that(bounded.is_some_and(|(off, bound)| off <= bound), || {
                format!("{} is off by more than its bound: {row}", pod.full_name())
            });
        }
    }
    check_sums(&mut checks, &report, &kernel);
    checks.above_zero("losses.overflow_full", lost(&report, "overflow_full"));
    checks.finish()?;
    Ok(Outcome::Pass)
}
