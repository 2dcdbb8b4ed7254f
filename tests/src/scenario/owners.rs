//! Whose a socket is where that is not plain: its listener was made in another cgroup, it was accepted before its process moved,
//! nobody has accepted it; and families of addresses.

use std::fs;

use anyhow::{Context, Result};

use super::Outcome;
use super::flood::{self, SETTLE, Watch, flood, slow_reader};
use super::loads::PATIENCE;
use crate::check::Checks;
use crate::go::Go;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::is_pod;
use crate::{sys, tcpress};

/// A server starts in one pod, accepts, and goes on in another, listener and all: what it accepted before stays with the first pod
/// (so does a socket that is passed on by its descriptor), what it accepts afterwards is charged to the second.
pub(super) fn moved_server() -> Result<Outcome> {
    let network = Network::new()?;
    let front = Pod::new(&network, "shop", "front")?;
    let back = Pod::new(&network, "shop", "back")?;
    let reader = slow_reader(&front)?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&front)?;
    let _early = flood(&front, 1, "repeat:30x100")?;
    fs::write(back.scope().join("cgroup.procs"), reader.pid().to_string())
        .context("cannot move the server")?;
    let late = front.outside(
        "tun --device tun1 --kernel 10.98.0.1 --client 10.98.0.2 --to 10.98.0.1:7000 \
         --do in-order:20x1000 --do await --do repeat:12x100",
    )?;
    late.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 42);
    let of = |pod: &Pod| report.of_victim(pod, "/refusals/ofo");
    checks.equal("refusals of the pod where it was accepted", of(&front), 30);
    checks.equal("refusals of the pod that accepted it", of(&back), 12);
    report.check_rows(&mut checks, "the network of both", &front.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A process in another pod takes connections over by their descriptors, and the one that accepted them dies: the sockets stay
/// with the pod where they were accepted, and so does their memory.
pub(super) fn passed_sockets() -> Result<Outcome> {
    let network = Network::new()?;
    let front = Pod::new(&network, "shop", "front")?;
    let back = Pod::new(&network, "shop", "back")?;
    let go = Go::new("owners");
    let reader = slow_reader(&front)?;
    let report = tcpress::report("")?;
    let watch = Watch::new(&front)?;
    let client = flood::begin(&front, 1, &format!("until:{go} repeat:12x100"))?;
    client.step("await", PATIENCE)?;
    let _taker = back.recipe(&format!("take-over --from {}", reader.pid()))?;
    sys::signal(reader.pid(), libc::SIGKILL)?;
    std::thread::sleep(SETTLE);
    go.give()?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    let mut checks = Checks::new();
    checks.equal("the kernel's TCPOFODrop", kernel.get("TCPOFODrop"), 12);
    report.check_refusals(&mut checks, &front, &kernel);
    report.check_limit(&mut checks, &front, "rcvbuf", kernel.refusals());
    report.check_rows(&mut checks, "the first pod", &front.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    let holders = report.list("/holders").iter();
    let held: u64 = holders
        .filter(|holder| is_pod(&holder["owner"], &front))
        .filter_map(|holder| holder["receive_bytes"].as_u64())
        .sum();
    checks.that(held >= 20_000 || !report.tells_sockets(), || {
        format!("the first pod holds {held} bytes of the 20000 that it was sent")
    });
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// Connections that wait to be accepted belong to the pod of the listener.
pub(super) fn not_accepted() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "deaf")?;
    let go = Go::new("owners");
    let _listener = pod.recipe("deaf-listener --listen 0.0.0.0:7000 --backlog 100")?;
    let client = pod.outside(&format!(
        "tun --to 10.99.0.1:7000 --connections 60 --do in-order:20x1000 --do until:{go} --do in-order:20x1000"
    ))?;
    client.step("in-order", PATIENCE)?;
    std::thread::sleep(SETTLE);
    let report = tcpress::report("")?;
    let watch = Watch::new(&pod)?;
    let limits = TcpMem::set(1, 2, 3)?;
    go.give()?;
    client.done(PATIENCE)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let report = report.report()?;
    drop(limits);
    let mut checks = Checks::new();
    checks.above_zero("the kernel's refusals", kernel.refusals());
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_limit(&mut checks, &pod, "tcp_mem", kernel.refusals());
    report.check_rows(&mut checks, "the deaf pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    if report.tells_sockets() {
        let holder = report.holder(&pod);
        let of = |name: &str| holder[name].as_u64();
        checks.equal(
            "connections that wait",
            of("not_accepted_sockets"),
            Some(60),
        );
        checks.that(of("not_accepted_bytes") >= Some(60 * 20_000), || {
            format!("60 connections wait with 20,000 bytes at least, and hold less: {holder}")
        });
        checks.equal("orphans among them", of("orphans"), Some(0));
    }
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// IPv4 through an IPv6 socket, and IPv6: the same counts, and addresses as people write them.
pub(super) fn families() -> Result<Outcome> {
    let network = Network::new()?;
    let mapped = Pod::new(&network, "shop", "mapped")?;
    let six = Pod::new(&network, "shop", "six")?;
    let _reader =
        mapped.recipe("slow-reader --listen [::]:7000 --shrink-to 2048 --shrink-after 20000")?;
    let _leak = six.recipe("leak-server --listen [::1]:8080")?;
    let report = tcpress::report("")?;
    let (watch, watch_six) = (Watch::new(&mapped)?, Watch::new(&six)?);
    let _flood = flood(&mapped, 2, "repeat:20x100 retry:5x100")?;
    let limits = TcpMem::set(200, 300, 400)?;
    let client =
        six.recipe("leak-client --to [::1]:8080 --connections 60 --bytes 60000 --patience 3000")?;
    client.done(PATIENCE)?;
    six.cut()?;
    std::thread::sleep(SETTLE);
    let (kernel, kernel_six) = (watch.grown()?, watch_six.grown()?);
    let report = report.report()?;
    drop(limits);
    let mut checks = Checks::new();
    for (pod, kernel, remote) in [
        (&mapped, &kernel, "10.99.0.2:"),
        (&six, &kernel_six, "[::1]:"),
    ] {
        let name = pod.full_name();
        checks.above_zero(&format!("refusals of {name}"), kernel.refusals());
        report.check_refusals(&mut checks, pod, kernel);
        report.check_rows(&mut checks, &name, &pod.netns()?, kernel);
        let evidence = report.list("/evidence").iter();
        let mut of_pod = evidence.filter(|event| is_pod(&event["owner"], pod));
        checks.that(
            of_pod.all(|event| {
                let said = event["remote"].as_str();
                said.is_some_and(|it| it.starts_with(remote))
            }),
            || format!("a remote address of {name} does not begin with {remote}"),
        );
    }
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}
