//! The node's network: a bridge in the namespace the lab runs in, to which pods are plugged by veth pairs, as the bridge
//! plugin of a container network does.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};

use crate::process::run;
use crate::sys;

/// Name of the bridge.
pub const BRIDGE: &str = "lab0";
/// Address of the node on the bridge; pods use it as their default route.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);

/// Runs `ip` with arguments separated by spaces in the caller's network namespace.
pub fn ip(arguments: &str) -> Result<String> {
    run(Command::new("ip").args(arguments.split_ascii_whitespace()))
}

/// Runs `ip` in the network namespace behind the file.
pub fn ip_in(netns: &File, arguments: &str) -> Result<String> {
    run_in(netns, "ip", arguments)
}

/// Runs a program in the network namespace behind the file.
pub fn run_in(netns: &File, program: &str, arguments: &str) -> Result<String> {
    let netns = netns.try_clone()?;
    let mut command = Command::new(program);
    command.args(arguments.split_ascii_whitespace());
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(move || sys::enter_netns(netns.as_fd())) };
    run(&mut command)
}

/// The bridge; it goes when this is dropped. On a kernel without modules there is none, and each pod has its loopback device only.
pub struct Network {
    next: AtomicU8,
    connected: bool,
}

impl Network {
    /// Makes the bridge with the node's address, and lets the node forward.
    pub fn new() -> Result<Self> {
        ip("link set lo up")?;
        // A bridge that an earlier, killed run left behind would be in the way.
        let _ = ip(&format!("link del {BRIDGE}"));
        let made = ip(&format!("link add {BRIDGE} type bridge"));
        let network = Self {
            next: AtomicU8::new(2),
            connected: made.is_ok(),
        };
        if !network.connected {
            return Ok(network);
        }
        ip(&format!("addr add {NODE}/24 dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot forward packets")?;
        Ok(network)
    }

    /// No bridge: each pod has its loopback device only. Who needs no traffic between pods gets them sooner so.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            next: AtomicU8::new(0),
            connected: false,
        }
    }

    /// Why what happens between pods cannot be tried here; None where they are connected.
    #[must_use]
    pub fn lacking(&self) -> Option<String> {
        (!self.connected).then(|| "this kernel has no bridge: its modules are not there".to_owned())
    }

    /// Connects the network namespace of process `pid` (`netns` is the same one) and gives its address and the node's end of the
    /// pair; without a bridge, the address of its loopback device alone.
    pub fn plug(&self, pid: u32, netns: &File) -> Result<(Ipv4Addr, Option<String>)> {
        if !self.connected {
            return Ok((Ipv4Addr::LOCALHOST, None));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::new(10, 88, 0, number);
        let port = format!("lab{pid}");
        ip(&format!(
            "link add {port} type veth peer name eth0 netns {pid}"
        ))
        .context("cannot make a veth pair")?;
        ip(&format!("link set {port} master {BRIDGE} up"))?;
        ip_in(netns, &format!("addr add {address}/24 dev eth0"))?;
        // Segments of wire size, as from another host: one huge segment would find an empty queue and always be admitted.
        ip_in(netns, "link set eth0 up gso_max_segs 1")?;
        ip_in(netns, &format!("route add default via {NODE}"))?;
        Ok((address, Some(port)))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !self.connected {
            return;
        }
        let _ = ip(&format!("link del {BRIDGE}"));
    }
}
