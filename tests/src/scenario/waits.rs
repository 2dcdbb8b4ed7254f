//! Why a reader does not read: each state made on purpose, and confirmed while the others are ruled out.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Outcome;
use super::flood::flood;
use crate::cgroup;
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::process::run;
use crate::report::{Report, is_pod};
use crate::tcpress;

/// Connections that fill up and are refused.
const CONNECTIONS: u64 = 3;
/// How long the reader is watched at what it does instead of reading.
const WATCHED: Duration = Duration::from_secs(4);
/// The five states, as reports call them.
const STATES: [&str; 5] = ["io", "cpu", "locks", "memory", "network"];

/// A reader that sleeps.
pub(super) fn idle() -> Result<Outcome> {
    let pod = Pod::new(&Network::new()?, "shop", "sleeper")?;
    let context = hindered(&pod, "sleep", || Ok(()))?;
    let mut checks = Checks::new();
    check(&mut checks, &context, "idle", None);
    let sleeps = |wait: &Value| wait["kind"] == "sleep" && wait["threads"] == 1;
    let waits = context["threads"]["waits"].as_array();
    checks.that(waits.is_some_and(|waits| waits.iter().any(sleeps)), || {
        format!("no thread sleeps: {}", context["threads"])
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A reader that computes and whose quota is a fifth of a CPU.
pub(super) fn cpu() -> Result<Outcome> {
    let pod = Pod::new(&Network::new()?, "shop", "throttled")?;
    let quotas = [("cpu.max", "20000 100000"), ("cpu.cfs_quota_us", "20000")];
    let folders = cgroup::everywhere(pod.scope())?.into_iter();
    let files = folders.flat_map(|folder| quotas.map(|(name, quota)| (folder.join(name), quota)));
    let Some((file, quota)) = files.into_iter().find(|(file, _)| file.exists()) else {
        return Ok(Outcome::Skip("no CPU time is limited here".into()));
    };
    let stat = file.with_file_name("cpu.stat");
    let before = periods(&stat)?;
    let context = hindered(&pod, "cpu", || write(&file, quota))?;
    let after = periods(&stat)?;
    let mut checks = Checks::new();
    check(&mut checks, &context, "cpu", Some("cpu"));
    let cpu = &context["cpu"];
    checks.equal("the quota", cpu["quota_cpus"].as_f64(), Some(0.2));
    // What was read within the window is a part of what the kernel counted around it.
    for (name, before, after) in [
        ("periods", before.0, after.0),
        ("throttled_periods", before.1, after.1),
    ] {
        let told = cpu[name].as_u64().unwrap_or(0);
        checks.above_zero(name, told);
        checks.that(told <= after - before, || {
            format!(
                "{name}: {told} within the window, {} around it",
                after - before
            )
        });
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A reader that waits for a lock.
pub(super) fn lock() -> Result<Outcome> {
    let pod = Pod::new(&Network::new()?, "shop", "locked")?;
    let context = hindered(&pod, "lock", || Ok(()))?;
    let mut checks = Checks::new();
    check(&mut checks, &context, "locks", Some("locks"));
    let locks = &context["locks"];
    checks.equal("stuck threads", locks["stuck_threads"].as_u64(), Some(1));
    let channel = locks["wait_channel"].as_str().unwrap_or_default();
    checks.that(channel.starts_with("futex_wait"), || {
        format!("the wait channel is {channel}")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A reader that takes memory beyond `memory.high`: the kernel makes it wait for each further page.
pub(super) fn memory() -> Result<Outcome> {
    if !cgroup::memory_is_v2() {
        return Ok(Outcome::Skip(
            "memory is accounted in a v1 hierarchy".into(),
        ));
    }
    let pod = Pod::new(&Network::new()?, "shop", "hungry")?;
    let high = 16_u64 << 20;
    let file = pod.scope().join("memory.high");
    let context = hindered(&pod, "memory", || write(&file, &high.to_string()))?;
    let mut checks = Checks::new();
    check(&mut checks, &context, "memory", Some("memory"));
    let memory = &context["memory"];
    checks.equal("memory.high", memory["high_bytes"].as_u64(), Some(high));
    let events = memory["high_events"].as_u64().unwrap_or(0);
    checks.above_zero("charges over memory.high", events);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A reader that waits for a slow disk: 30 ms for each block.
pub(super) fn io() -> Result<Outcome> {
    let device = run(Command::new("modprobe").args([
        "null_blk",
        "nr_devices=1",
        "gb=1",
        "irqmode=2",
        "completion_nsec=30000000",
    ]));
    if let Err(error) = device {
        return Ok(Outcome::Skip(format!("no slow disk: {error:#}")));
    }
    let pod = Pod::new(&Network::new()?, "shop", "writer")?;
    let context = hindered(&pod, "io", || Ok(()))?;
    let mut checks = Checks::new();
    check(&mut checks, &context, "io", Some("io"));
    let blocked = context["io"]["blocked_samples"].as_u64().unwrap_or(0);
    checks.above_zero("looks at which it waited for the disk", blocked);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A server whose link loses one packet of ten; beside it, in the same pod, a reader that sleeps and is refused.
pub(super) fn lossy_link() -> Result<Outcome> {
    let network = Network::new()?;
    if let Some(why) = network.lacking() {
        return Ok(Outcome::Skip(why));
    }
    let server = Pod::new(&network, "shop", "lossy")?;
    let client = Pod::new(&network, "shop", "client")?;
    server.lose(10)?;
    let _serves =
        server.recipe("echo-server --listen 0.0.0.0:8080 --request 100 --response 60000")?;
    let before = server.counters()?;
    let asks = client.recipe(&format!(
        "echo-client --to {} --connections 8 --pause 1 --request 100 --response 60000",
        server.endpoint(8080)
    ))?;
    let context = hindered(&server, "sleep", || Ok(()))?;
    asks.stop()?;
    let fast = server.counters()?.get("TCPFastRetrans")? - before.get("TCPFastRetrans")?;
    let mut checks = Checks::new();
    let network = &context["network"];
    checks.equal(
        "the network",
        network["finding"].as_str(),
        Some("confirmed"),
    );
    let told = network["fast_retransmits"].as_u64().unwrap_or(0);
    checks.above_zero("fast retransmits", told);
    checks.that(told <= fast, || {
        format!("{told} fast retransmits within the window, {fast} around it")
    });
    let share = network["retransmit_share"].as_f64().unwrap_or(0.0);
    checks.that(share > 0.03 && share < 0.5, || {
        format!("a link that loses a tenth makes a share of {share} be sent again")
    });
    // The traffic of both pods may keep two emulated processors busy, and then that is why the reader does not read.
    let busy = context["cpu"]["finding"] == "confirmed";
    let reader = if busy { "cpu" } else { "idle" };
    checks.equal("the reader", context["reader"].as_str(), Some(reader));
    for state in ["io", "locks", "memory"] {
        checks.that(context[state]["finding"] != "confirmed", || {
            format!("{state} is confirmed: {}", context[state])
        });
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A reader in the pod that is refused segments while it does something else than reading. `prepare` is done before that and
/// within the window. The context of the victim.
fn hindered(pod: &Pod, hindrance: &str, prepare: impl FnOnce() -> Result<()>) -> Result<Value> {
    let _reader = pod.recipe(&format!(
        "slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 20000 --after {CONNECTIONS} --then {hindrance}"
    ))?;
    let report = tcpress::report("")?;
    prepare()?;
    let _client = flood(pod, CONNECTIONS, "in-order:4x500")?;
    std::thread::sleep(WATCHED);
    let report = report.report()?;
    context(&report, pod)
}

/// The context of a victim.
fn context(report: &Report, pod: &Pod) -> Result<Value> {
    let victim = report.victims(pod).next();
    let victim = victim.with_context(|| format!("no victim: {:?}", report.names("/victims")))?;
    let culprits = report.list("/culprits").iter();
    let mut own = culprits.filter(|culprit| is_pod(&culprit["owner"], pod));
    let context = &victim["context"];
    anyhow::ensure!(
        context.is_object(),
        "it has no context: {:?}",
        report.list("/losses/gaps")
    );
    anyhow::ensure!(
        own.all(|culprit| culprit["context"] == *context),
        "the culprit has another context than the victim"
    );
    Ok(context.clone())
}

/// One state must be confirmed, or none, all others ruled out, and the reader's reason named.
fn check(checks: &mut Checks, context: &Value, reader: &str, confirmed: Option<&str>) {
    checks.equal("the reader", context["reader"].as_str(), Some(reader));
    for state in STATES {
        let want = match confirmed {
            Some(confirmed) if confirmed == state => "confirmed",
            _ => "ruled_out",
        };
        let finding = context[state]["finding"].as_str();
        checks.that(finding == Some(want), || {
            format!(
                "{state} is {finding:?}, expected {want}: {}",
                context[state]["words"]
            )
        });
    }
}

fn write(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).with_context(|| format!("cannot write {}", file.display()))
}

/// Enforcement periods so far, and of these the throttled ones, as `cpu.stat` has them.
fn periods(stat: &Path) -> Result<(u64, u64)> {
    let text = fs::read_to_string(stat)?;
    let of = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name)?.1.parse().ok()
    };
    of("nr_periods")
        .zip(of("nr_throttled"))
        .context("cpu.stat has no periods")
}
