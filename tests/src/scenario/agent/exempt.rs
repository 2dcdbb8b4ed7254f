//! The agent's own sockets, where nobody else's get memory.

use anyhow::{Context as _, Result};

use super::{SHORT, SOON, folder, held_in_kernel, residuals, switch};
use crate::agent::Agent;
use crate::check::Checks;
use crate::netns::{self, Recipe};
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::scenario::Outcome;
use crate::scenario::flood::SETTLE;
use crate::scenario::leak::Leak;
use crate::snmp::Counters;
use crate::sys;

/// Limits, in pages, far below what the leak has taken by then.
const FULL: [u64; 3] = [100, 150, 200];
/// Segments for a process that does not read: with their overhead more than a page and less than the agent's receive buffer of 32 KiB.
const SEGMENTS: u32 = 20;
const SIZE: u32 = 100;
/// From this version on the kernel lets a program exempt a socket.
const OFFERED: (u32, u32) = (6, 19);

/// Segments to somebody who is stopped, from a client without a socket of the kernel's.
fn segments(number: u32, port: u16) -> Result<Recipe> {
    let network = format!("198.18.{number}");
    let client = netns::node_recipe(&format!(
        "tun --device exempt{number} --kernel {network}.1 --client {network}.2 --to {network}.1:{port} --do in-order:{SEGMENTS}x{SIZE}"
    ))?;
    client.done(SOON)?;
    std::thread::sleep(SETTLE);
    Ok(client)
}

/// The node's TCP memory is more than full, and nobody reads. What comes for another process is refused. What comes for the agent is refused as well
/// on kernels that offer no exemption, and is admitted by those that do; and of either each refusal is counted.
pub(in crate::scenario) fn agent_exempt() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::small()?;
    let leak = Leak::start(&leaky)?;
    let folder = folder("lab-agent-exempt")?;
    let agent = Agent::start_with(
        &folder,
        "",
        &[&SHORT[..], &["http.listen=0.0.0.0:9943"]].concat(),
    )?;
    // It shares the cgroup and is no process of the agent's.
    let other = netns::node_recipe("leak-server --listen 0.0.0.0:7000")?;
    let mut checks = Checks::new();
    let offered = release()? >= OFFERED;
    let exempt = agent.page()?.sum("tcpress_agent_sockets_exempt", &[]);
    checks.equal("exempt", exempt, f64::from(u8::from(offered)));

    let [low, pressure, max] = FULL;
    let full = TcpMem::set(low, pressure, max)?;
    let before = Counters::here()?;
    // Whoever accepts a connection holds its socket meanwhile, and of segments that wait for that the kernel makes one, which finds
    // an empty queue and is let in. Nobody accepts while stopped.
    sys::signal(other.pid(), libc::SIGSTOP)?;
    let to_other = segments(1, 7000)?;
    let grown = Counters::here()?.since(&before)?;
    let of_other = grown.refusals();
    checks.that(of_other > 0, || {
        format!("nothing was refused of what is for another process: {grown}")
    });
    let before_own = Counters::here()?;
    agent.signal(libc::SIGSTOP)?;
    let to_agent = segments(2, 9943)?;
    let of_agent = Counters::here()?.since(&before_own)?.refusals();
    agent.signal(libc::SIGCONT)?;
    match offered {
        true => checks.equal("refusals of what is for the agent", of_agent, 0),
        false => checks.above_zero("refusals of what is for the agent", of_agent),
    }
    drop(full);
    leak.stop()?;
    let all = Counters::here()?.since(&before)?.refusals();
    let page = agent.page_with("all refusals of the node", SOON, |page| {
        let ours = ["TCPRcvQDrop", "TCPOFODrop"]
            .map(|it| page.sum("tcpress_snmp_total", &[("counter", it)]));
        ours.iter().sum::<f64>() as u64 >= all
    })?;
    checks.equal("residuals", residuals(&page), Vec::new());
    eprintln!(
        "lab: of {SEGMENTS} segments {of_other} for another process and {of_agent} for the agent were refused"
    );
    // The kill switch lets go of that program as well.
    let switch = switch()?;
    std::fs::write(&switch, "")?;
    agent.said(SOON, |line| line.contains("detached: "))?;
    checks.equal("held in the kernel", held_in_kernel(&agent), 0);
    let exempt = agent.page()?.sum("tcpress_agent_sockets_exempt", &[]);
    checks.equal("exempt after the kill switch", exempt, 0.0);
    std::fs::remove_file(&switch)?;
    drop((to_other, to_agent, other));
    agent.stop()?;
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// The first two numbers of the kernel's version.
fn release() -> Result<(u32, u32)> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = text.split(|it: char| !it.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    next()
        .zip(next())
        .with_context(|| format!("{text:?} is no version"))
}
