//! Owners of which little is known: a cgroup that was gone before tcpress came, a pod removed while it looked, no log folders.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Outcome;
use super::flood::{SETTLE, Watch, begin, flood, slow_reader};
use crate::check::Checks;
use crate::go::Go;
use crate::network::Network;
use crate::pod::Pod;
use crate::report::{Report, is_pod};
use crate::{cgroup, tcpress};

/// Refusals out of order of the victims whose owner matches.
fn of_owner(report: &Report, matches: impl Fn(&Value) -> bool) -> u64 {
    let victims = report
        .list("/victims")
        .iter()
        .filter(|victim| matches(&victim["owner"]));
    victims
        .filter_map(|victim| victim["refusals"]["ofo"].as_u64())
        .sum()
}

/// Something must be said in words about what is not known.
fn check_gap(checks: &mut Checks, report: &Report) {
    checks.that(!report.list("/losses/gaps").is_empty(), || {
        "no gap is told in words".into()
    });
}

/// The cgroup of a socket was removed before tcpress came: its process had moved on.
pub(super) fn unknown_cgroup() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "moved")?;
    let reader = slow_reader(&pod)?;
    let id = cgroup::id(pod.scope())?;
    let go = Go::new("flood");
    let client = begin(&pod, 1, &format!("until:{go} repeat:20x1"))?;
    client.step("await", Duration::from_secs(60))?;
    // A socket keeps the cgroup of the process that accepted it, though that has no folder any more.
    let other = cgroup::all_pods().join("moved-on.scope");
    cgroup::create(&other)?;
    fs::write(other.join("cgroup.procs"), reader.pid().to_string())
        .context("cannot move the process")?;
    fs::remove_dir(pod.scope()).context("cannot remove the cgroup")?;

    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    go.give()?;
    client.done(Duration::from_secs(60))?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 20);
    // Its own id, the pod by its network namespace, or whoever holds the socket now: all three are true.
    let known = |owner: &Value| {
        let holder =
            owner["cgroup.path"] == "/kubepods.slice/moved-on.scope" && owner["source"] == "proc";
        owner["cgroup.id"] == id.to_string().as_str() || is_pod(owner, &pod) || holder
    };
    let told = of_owner(&report, known);
    checks.that(told == 20, || {
        format!(
            "{told} of 20 refusals are told of cgroup {id}: {}",
            report.at("/victims")
        )
    });
    check_gap(&mut checks, &report);
    report.check_rows(&mut checks, "the pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A pod is refused and then removed, cgroup and all, within the window: it keeps its name.
pub(super) fn removed_pod() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "short-lived")?;
    let reader = slow_reader(&pod)?;
    let report = tcpress::report("")?;
    let client = flood(&pod, 1, "repeat:20x1")?;
    let uid = pod.uid.clone();
    client.stop()?;
    reader.stop()?;
    drop(pod);
    std::thread::sleep(SETTLE);
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal(
        "refusals of the removed pod",
        of_owner(&report, |owner| owner["k8s.pod.uid"] == uid.as_str()),
        20,
    );
    checks.equal(
        "refusals by name",
        of_owner(&report, |owner| owner["k8s.pod.name"] == "short-lived"),
        20,
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Without log folders a pod is still known by its uid, and what lacks is told.
pub(super) fn no_pod_logs() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&pod)?;
    let report = tcpress::report("--pod-logs /nonexistent")?;
    let watch = Watch::new(&pod)?;
    let _client = flood(&pod, 1, "repeat:20x1")?;
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 20);
    let uid = |owner: &Value| {
        owner["k8s.pod.uid"] == pod.uid.as_str() && owner["container.id"] == pod.container.as_str()
    };
    checks.equal(
        "refusals by uid and container id",
        of_owner(&report, uid),
        20,
    );
    check_gap(&mut checks, &report);
    report.check_rows(&mut checks, "the pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}
