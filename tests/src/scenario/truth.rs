//! Which limit refused: each scenario's load can meet one limit only, by arithmetic, so that the label of every refusal is known
//! beforehand.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use super::flood::{SETTLE, Watch};
use super::loads::PATIENCE;
use crate::cgroup;
use crate::check::Checks;
use crate::go::Go;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::Report;
use crate::snmp::Delta;
use crate::tcpress;

/// Bytes that a full cgroup may seem to have left: a batch of a charge, and the reserves of two processors.
const RESERVES: u64 = (3 * 64) << 12;

/// Every refusal and every prune of the pod must carry this limit and detail, and none may be unknown.
fn check_label(
    checks: &mut Checks,
    report: &Report,
    pod: &Pod,
    (limit, detail): (&str, &str),
    kernel: &Delta,
) {
    if report.misses_openly(checks) {
        return;
    }
    let refusals = kernel.refusals();
    report.check_limit(checks, pod, limit, refusals);
    for name in ["hard", "fair_share", "v2", "v1_tcpmem"] {
        let want = if name == detail { refusals } else { 0 };
        let got = report.of_victim(pod, &format!("/refusals_by_detail/{name}"));
        checks.equal(&format!("refusals by {name}"), got, want);
    }
    let prunes = report.of_victim(pod, &format!("/prunes_by_limit/{limit}"));
    checks.equal("prunes by that limit", prunes, kernel.get("PruneCalled"));
}

/// Evidence of this pod by one detail; its numbers must prove the label.
fn evidence<'a>(
    report: &'a Report,
    pod: &'a Pod,
    detail: &'a str,
) -> impl Iterator<Item = &'a serde_json::Value> {
    let events = report.list("/evidence").iter();
    events.filter(move |event| {
        crate::report::is_pod(&event["owner"], pod) && event["detail"] == detail
    })
}

/// Connections that hold some memory, each far below its own buffer, then limits of `tcp_mem`, then more of the same. In order,
/// because some kernels make room for what is out of order out of what is.
fn under_tcp_mem(pod: &Pod, idle: bool, limits: (u64, u64, u64)) -> Result<Delta> {
    let go = Go::new("truth");
    let mut recipes = vec![pod.recipe("leak-server --listen 0.0.0.0:7000")?];
    if idle {
        // Sockets that hold nothing make everyone's fair share small.
        let to = pod.endpoint(7000);
        recipes.push(pod.recipe(&format!(
            "leak-client --to {to} --connections 150 --bytes 0"
        ))?);
    }
    let client = pod.outside(&format!(
        "tun --to 10.99.0.1:7000 --connections 60 --do in-order:20x1000 --do until:{go} --do in-order:20x1000"
    ))?;
    client.step("in-order", PATIENCE)?;
    std::thread::sleep(SETTLE);
    let watch = Watch::new(pod)?;
    let (low, pressure, max) = limits;
    let limits = TcpMem::set(low, pressure, max)?;
    go.give()?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    drop(limits);
    Ok(kernel)
}

/// More is allocated than the hard limit of 3 pages: whatever asks for memory is refused by it. 60 queues of 20 segments hold
/// some 600 pages, more than per-CPU reserves can hide.
pub(super) fn tcp_mem_hard() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "hard")?;
    let report = tcpress::report("")?;
    let kernel = under_tcp_mem(&pod, false, (1, 2, 3))?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.above_zero("the kernel's refusals", kernel.refusals());
    check_label(&mut checks, &report, &pod, ("tcp_mem", "hard"), &kernel);
    let mut seen = 0;
    for event in evidence(&report, &pod, "hard") {
        seen += 1;
        checks.that(
            event["allocated_bytes"].as_u64() > event["tcp_mem_max_bytes"].as_u64(),
            || format!("the hard limit was not exceeded: {event}"),
        );
        let marks = &event["tcp_mem_bytes"];
        checks.equal("the low mark", &marks["low"], &4096.into());
        checks.equal("the pressure line", &marks["pressure"], &8192.into());
        checks.equal("the high mark", &marks["max"], &12288.into());
    }
    checks.above_zero("evidence by the hard limit", seen);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Less is allocated than the hard limit, but under pressure each socket has its share: 3000 pages over more than 360 sockets
/// (60 that hold something, 150 pairs that do not) are 8, and 20 segments take 11 or more.
pub(super) fn tcp_mem_fair_share() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "share")?;
    let report = tcpress::report("")?;
    let kernel = under_tcp_mem(&pod, true, (1, 2, 3000))?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.above_zero("the kernel's refusals", kernel.refusals());
    check_label(
        &mut checks,
        &report,
        &pod,
        ("tcp_mem", "fair_share"),
        &kernel,
    );
    let mut seen = 0;
    for event in evidence(&report, &pod, "fair_share") {
        seen += 1;
        checks.that(
            event["allocated_bytes"].as_u64() <= event["tcp_mem_max_bytes"].as_u64(),
            || format!("the hard limit was exceeded: {event}"),
        );
    }
    checks.above_zero("evidence by the fair share", seen);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Lets the kernel end no process of the pod for want of memory: a charge that fails then has no other way out.
fn spare(slice: &Path) -> Result<()> {
    for pid in cgroup::all_processes(slice) {
        fs::write(format!("/proc/{pid}/oom_score_adj"), "-1000")
            .context("cannot spare a process")?;
    }
    Ok(())
}

fn number(path: &Path) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("no {}", path.display()))?;
    Ok(text.trim().parse()?)
}

/// The pod's memory as limited from now on: what it has, and some pages.
fn limit_memory(folder: &Path, more: u64) -> Result<()> {
    let now = number(&folder.join("memory.current"))?;
    fs::write(folder.join("memory.max"), (now + more).to_string()).context("cannot set memory.max")
}

/// A write in repair mode charges in the context of the process, where a full cgroup refuses: the pod's slice is full, not the
/// container in it. 5.10 charges a refused request all the same and gives it back, which the retry after the prune then
/// finds: prunes only.
pub(super) fn memcg_process() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "full")?;
    let slice = cgroup::pod_path(&pod.uid);
    if !cgroup::memory_is_v2() {
        return Ok(Outcome::Skip(
            "the memory controller is not in the v2 hierarchy".into(),
        ));
    }
    let go = Go::new("truth");
    let recipe = pod.recipe(&format!(
        "repair --refusals 4 --writes 3000 --room 64000000 --until {go}"
    ))?;
    spare(&slice)?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    limit_memory(&slice, 2 * RESERVES)?;
    go.give()?;
    let done = recipe.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    fs::write(slice.join("memory.max"), "max")?;
    let mut checks = Checks::new();
    checks.equal(
        "refused writes",
        &done["refused"],
        &kernel.refusals().into(),
    );
    checks.above_zero("the kernel's PruneCalled", kernel.get("PruneCalled"));
    check_label(&mut checks, &report, &pod, ("memcg", "v2"), &kernel);
    let full = cgroup::id(&slice)?.to_string();
    let mut seen = 0;
    for event in evidence(&report, &pod, "v2") {
        seen += 1;
        let memcg = &event["memcg"];
        checks.equal(
            "the cgroup that was full",
            &memcg["cgroup_id"],
            &full.as_str().into(),
        );
        let (usage, max) = (memcg["usage_bytes"].as_u64(), memcg["max_bytes"].as_u64());
        // A charge asks for a batch of 64 pages first (`MEMCG_CHARGE_BATCH`), and where it fails every processor gives back what it
        // holds in reserve, as many at most, before the numbers are read.
        checks.that(
            usage
                .zip(max)
                .is_some_and(|(usage, max)| usage + RESERVES >= max),
            || format!("it was not full: {event}"),
        );
    }
    checks.above_zero("evidence by the memory cgroup", seen);
    checks.equal("the limit", report.at("/verdict/limit"), &"memcg".into());
    report.check_rows(&mut checks, "the full pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    if kernel.refusals() == 0 {
        return Ok(Outcome::Skip(format!(
            "this kernel charges after a prune what it has refused before: {} prunes were laid to the memory cgroup, and nothing was \
             refused",
            kernel.get("PruneCalled")
        )));
    }
    Ok(Outcome::Pass)
}

/// Segments arrive at a pod whose memory is full. In softirq 5.10 refuses the charge and prunes; 6.1 and later charge all
/// the same, and only the cgroup's own events and clamped windows tell.
pub(super) fn memcg_softirq() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "tight")?;
    let slice = cgroup::pod_path(&pod.uid);
    if !cgroup::memory_is_v2() {
        return Ok(Outcome::Skip(
            "the memory controller is not in the v2 hierarchy".into(),
        ));
    }
    let go = Go::new("truth");
    let _server = pod.recipe("leak-server --listen 0.0.0.0:7000")?;
    spare(&slice)?;
    let client = pod.outside(&format!(
        "tun --to 10.99.0.1:7000 --connections 40 --do in-order:1x1 --do until:{go} --do in-order:20x1000"
    ))?;
    client.step("in-order", PATIENCE)?;
    // All are accepted: nothing of the process asks for memory any more.
    std::thread::sleep(Duration::from_secs(1));
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    limit_memory(&slice, 64 << 12)?;
    go.give()?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    fs::write(slice.join("memory.max"), "max")?;
    eprintln!("lab: {kernel}");
    let mut checks = Checks::new();
    check_label(&mut checks, &report, &pod, ("memcg", "v2"), &kernel);
    report.check_rows(&mut checks, "the tight pod", &pod.netns()?, &kernel);
    if kernel.get("PruneCalled") > 0 {
        report.check_at_rest(&mut checks);
        checks.finish()?;
        return Ok(Outcome::Pass);
    }
    let pressed = report.list("/memcg_pressure").iter();
    let pressed: Vec<_> = pressed
        .filter(|it| crate::report::is_pod(&it["owner"], &pod))
        .collect();
    let events = pressed.iter().filter_map(|it| it["max_events"].as_u64());
    checks.above_zero(
        "charges over memory.max that are told of the pod",
        events.sum(),
    );
    let told = pressed.iter().any(|it| it["windows_clamped"].is_u64());
    checks.that(told || !report.tells_sockets(), || {
        format!("nothing is told of the windows: {pressed:?}")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// TCP memory of a v1 cgroup: a limit that refuses in every context, where the host has the hierarchy.
pub(super) fn v1_tcpmem() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "capped")?;
    let scope = pod.scope();
    let (limit, usage) = (
        scope.join("memory.kmem.tcp.limit_in_bytes"),
        scope.join("memory.kmem.tcp.usage_in_bytes"),
    );
    if !limit.exists() {
        return Ok(Outcome::Skip(
            "no v1 hierarchy accounts TCP memory here".into(),
        ));
    }
    // From now on sockets are accounted.
    fs::write(&limit, (1 << 30).to_string()).context("cannot set the limit")?;
    let go = Go::new("truth");
    let _server = pod.recipe("leak-server --listen 0.0.0.0:7000")?;
    let client = pod.outside(&format!(
        "tun --to 10.99.0.1:7000 --connections 10 --do in-order:20x1000 --do until:{go} --do in-order:20x1000"
    ))?;
    client.step("in-order", PATIENCE)?;
    std::thread::sleep(Duration::from_secs(1));
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    fs::write(&limit, (number(&usage)? + (4 << 12)).to_string()).context("cannot lower it")?;
    go.give()?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    eprintln!(
        "lab: {kernel}; {} bytes used, limit {}, failed {}",
        number(&usage)?,
        number(&limit)?,
        number(&scope.join("memory.kmem.tcp.failcnt"))?
    );
    let mut checks = Checks::new();
    checks.above_zero("the kernel's refusals", kernel.refusals());
    check_label(&mut checks, &report, &pod, ("memcg", "v1_tcpmem"), &kernel);
    let full = cgroup::id(scope)?.to_string();
    let mut seen = 0;
    for event in evidence(&report, &pod, "v1_tcpmem") {
        seen += 1;
        let memcg = &event["memcg"];
        checks.equal(
            "the cgroup that was full",
            &memcg["cgroup_id"],
            &full.as_str().into(),
        );
    }
    checks.above_zero("evidence by the v1 cgroup", seen);
    report.check_rows(&mut checks, "the capped pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}
