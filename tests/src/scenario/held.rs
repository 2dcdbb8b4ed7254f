//! Who holds what: sockets that no table lists, and how much of the node's TCP memory all that is found explains.

use std::fs;
use std::thread::sleep;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Outcome;
use super::flood::SETTLE;
use super::loads::PATIENCE;
use crate::check::Checks;
use crate::netns::Recipe;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::Report;
use crate::sockstat::Usage;
use crate::{cgroup, sys, tcpress};

/// Connections that are reset, and what each has received and not read.
const RESET: u64 = 400;
const BYTES: u64 = 30_000;
/// Where memory is compared in whole, so much that what the memory controller keeps per CPU is less than a hundredth of it.
const MUCH: u64 = 64_000;

/// A leaking server in a pod, and connections to it from the same pod that are reset when they have sent so many bytes.
fn reset(pod: &Pod, bytes: u64) -> Result<Recipe> {
    let server = pod.recipe("leak-server --listen 0.0.0.0:8080")?;
    let client = pod.recipe(&format!(
        "leak-client --to {} --connections {RESET} --bytes {bytes} --then reset",
        pod.endpoint(8080)
    ))?;
    client.done(PATIENCE)?;
    client.stop()?;
    Ok(server)
}

/// Connections that their peer resets while data is unread stand in no table, but keep their memory: all of them are found, with
/// their bytes, their owner and their process. Without the right to look at other processes their number is told all the same.
pub(super) fn reset_unread() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let honest = Pod::new(&network, "shop", "honest")?;
    let _server = honest.recipe("leak-server --listen 0.0.0.0:8080")?;
    let open = honest.recipe(&format!(
        "leak-client --to {} --connections 20 --bytes {BYTES}",
        honest.endpoint(8080)
    ))?;
    open.done(PATIENCE)?;
    let before = Usage::read()?.allocated;
    let server = reset(&leaky, BYTES)?;
    sleep(SETTLE);
    let mut checks = Checks::new();
    // The listener is one more.
    checks.equal(
        "sockets that the kernel has more",
        Usage::read()?.allocated - before,
        RESET + 1,
    );
    let listed = leaky.run("ss", "-tanH")?;
    let listed: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with("LISTEN"))
        .collect();
    checks.that(listed.is_empty(), || format!("ss lists {listed:?}"));

    let report = tcpress::snapshot("")?;
    let holder = report.holder(&leaky);
    let of = |name: &str| holder[name].as_u64();
    checks.equal("sockets in no table", of("unlisted_sockets"), Some(RESET));
    checks.equal(
        "what they have not read",
        of("unread_bytes"),
        Some(RESET * BYTES),
    );
    checks.that(of("unlisted_bytes") >= Some(RESET * BYTES), || {
        format!("they hold less than their payload: {holder}")
    });
    let close = &holder["states"][0];
    checks.equal("their state", close["state"].as_str(), Some("CLOSE"));
    checks.equal("sockets in it", close["sockets"].as_u64(), Some(RESET));
    let first = &holder["top_sockets"][0];
    let pid = i64::from(server.pid());
    checks.equal(
        "the process of the largest",
        first["pid"].as_i64(),
        Some(pid),
    );
    checks.equal("its command", first["command"].as_str(), Some("lab"));
    let local = leaky.endpoint(8080).to_string();
    checks.equal(
        "its local end",
        first["local"].as_str(),
        Some(local.as_str()),
    );
    let link = format!("/proc/{pid}/fd/{}", first["fd"]);
    let link = fs::read_link(&link).with_context(|| format!("no {link}"))?;
    let link = link.to_string_lossy();
    checks.that(link.starts_with("socket:"), || {
        format!("its descriptor is {link}")
    });
    let other = &report.holder(&honest)["unlisted_sockets"];
    checks.equal("those of the honest pod", other.as_u64(), Some(0));
    if report.tells_sockets() {
        report.check_explained(&mut checks);
    }
    let blind =
        tcpress::call("report -o json --duration 0").with_capabilities(!sys::CAP_SYS_PTRACE);
    let blind = tcpress::parse(&blind.run()?)?;
    let gaps = blind.list("/losses/gaps");
    let says = |gap: &Value| {
        let gap = gap.as_str().unwrap_or_default();
        gap.contains("sockets in no table 0 were found") && gap.contains("CAP_SYS_PTRACE")
    };
    checks.that(gaps.iter().any(says), || {
        format!("no gap says that CAP_SYS_PTRACE lacks: {gaps:?}")
    });
    // Nothing of them stays in our hands.
    server.stop()?;
    sleep(SETTLE);
    checks.equal(
        "sockets once the server has gone",
        Usage::read()?.allocated,
        before,
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Connections that are reset while they wait to be accepted stand in no table, and no descriptor leads to them: the report says
/// that they are there, and how many.
pub(super) fn reset_waiting() -> Result<Outcome> {
    const CONNECTIONS: u64 = 40;
    let network = Network::new()?;
    let deaf = Pod::new(&network, "shop", "deaf")?;
    let _listener = deaf.recipe("deaf-listener --listen 0.0.0.0:7000 --backlog 100")?;
    let client = deaf.recipe(&format!(
        "leak-client --to {} --connections {CONNECTIONS} --bytes {BYTES} --then reset",
        deaf.endpoint(7000)
    ))?;
    client.done(PATIENCE)?;
    client.stop()?;
    sleep(SETTLE);
    let report = tcpress::snapshot("")?;
    let explained = report.at("/tcp_memory/explained");
    let mut checks = Checks::new();
    if !report.tells_sockets() {
        return Ok(Outcome::Skip("without sock_diag no memory is told".into()));
    }
    let unseen = explained["unseen_sockets"].as_u64();
    checks.that(unseen >= Some(CONNECTIONS), || {
        format!("{CONNECTIONS} sockets cannot be seen, and the report says {unseen:?}")
    });
    let said = format!("{CONNECTIONS} connections wait at listeners");
    let reasons = explained["reasons"].to_string();
    checks.that(reasons.contains(&said), || {
        format!("no reason says that {said}: {reasons}")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// What the memory controller says of a pod, read here.
fn memory_stat(pod: &Pod) -> Result<u64> {
    let stat = fs::read_to_string(pod.scope().join("memory.stat"))?;
    let line = stat.lines().find_map(|line| line.strip_prefix("sock "));
    Ok(line.context("memory.stat has no sock")?.trim().parse()?)
}

/// At least 99 % of what the memory controller says of a pod must be found in its sockets, and the report must say what it says.
fn check_witness(checks: &mut Checks, report: &Report, pod: &Pod) -> Result<()> {
    let holder = report.holder(pod);
    let of = |name: &str| holder[name].as_u64().unwrap_or(0);
    let accepted = of("held_bytes") - of("not_accepted_bytes");
    let name = pod.full_name();
    let witness = memory_stat(pod)?;
    let said = of("memory_stat_sock_bytes");
    checks.that(said.abs_diff(witness) <= witness / 100, || {
        format!("memory.stat of {name} says {witness}, the report {said}")
    });
    checks.that(witness > 0 && accepted >= witness / 100 * 99, || {
        format!("{accepted} bytes were found in sockets of {name} of the {witness} that are charged to it")
    });
    Ok(())
}

/// Queues in and out, connections that nobody accepts, and sockets in no table: all that the node has allocated is explained, as far
/// as the reserves of its CPUs let it know, and all that is charged to each pod.
pub(super) fn explained_share() -> Result<Outcome> {
    let network = Network::new()?;
    let [readers, senders, resets, deaf] =
        ["readers", "senders", "resets", "deaf"].map(|name| Pod::new(&network, "shop", name));
    let (readers, senders, resets, deaf) = (readers?, senders?, resets?, deaf?);
    let limits = TcpMem::set(65_536, 98_304, 131_072)?;
    let _server = readers.recipe("leak-server --listen 0.0.0.0:8080")?;
    let client = senders.recipe(&format!(
        "leak-client --to {} --connections 250 --bytes 300000 --send-buffer 100000 --patience 500",
        readers.endpoint(8080)
    ))?;
    client.done(PATIENCE)?;
    let _reset = reset(&resets, MUCH)?;
    let _listener = deaf.recipe("deaf-listener --listen 0.0.0.0:7000 --backlog 100")?;
    let waiting = senders.recipe(&format!(
        "leak-client --to {} --connections 50 --bytes 20000",
        deaf.endpoint(7000)
    ))?;
    waiting.done(PATIENCE)?;
    sleep(SETTLE);
    let report = tcpress::snapshot("")?;
    let mut checks = Checks::new();
    if !report.tells_sockets() {
        return Ok(Outcome::Skip("without sock_diag no memory is told".into()));
    }
    eprintln!("lab: {}", report.at("/tcp_memory/explained"));
    report.check_explained(&mut checks);
    let max = report.at("/tcp_memory/tcp_mem_bytes/max").as_u64();
    let page = report.at("/node/page_size_bytes").as_u64();
    checks.that(max >= page.map(|page| page * 65_536), || {
        format!("tcp_mem is small: {max:?}")
    });
    if cgroup::memory_is_v2() {
        for pod in [&readers, &senders, &resets] {
            check_witness(&mut checks, &report, pod)?;
        }
    }
    let waiting = &report.holder(&deaf)["not_accepted_sockets"];
    checks.equal("connections that wait", waiting.as_u64(), Some(50));
    let unlisted = &report.holder(&resets)["unlisted_sockets"];
    checks.equal("sockets in no table", unlisted.as_u64(), Some(RESET));
    drop(limits);
    checks.finish()?;
    Ok(Outcome::Pass)
}
