//! Full TCP memory with many connections in both directions, between pods: the counts still equal the kernel's.

use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use super::flood::{SETTLE, Watch};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::tcpress;

/// Two pods ask each other, both leak, and the memory is a few megabytes.
pub(super) fn tcp_mem_storm() -> Result<Outcome> {
    let network = Network::new()?;
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
    std::thread::sleep(Duration::from_secs(6));
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
