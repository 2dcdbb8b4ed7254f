//! A pod as kubelet and runtime leave it on a node, without either: cgroup slice and scopes, a network namespace that a
//! pause process holds, a port on the bridge, and the log folder that carries the pod's name.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cgroup::{self, Layout};
use crate::netns::{self, Netns, Recipe};
use crate::network::{self, Network};
use crate::snmp::Counters;

/// Where kubelet keeps the logs of pods, one folder `NAMESPACE_NAME_UID` each.
pub const LOGS: &str = "/var/log/pods";

/// What makes a pod's network.
struct Wire {
    netns: Netns,
    address: Ipv4Addr,
    port: Option<String>,
}

/// A pod; everything of it is removed when it is dropped.
pub struct Pod {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Kubernetes name.
    pub name: String,
    /// Kubernetes uid, with dashes.
    pub uid: String,
    /// Id of the container that runs the workload: 64 hex digits.
    pub container: String,
    /// Id of the sandbox, in whose cgroup the pause process is.
    pub sandbox: String,
    layout: Layout,
    scope: PathBuf,
    logs: PathBuf,
    wire: Option<Wire>,
}

/// A random uuid of the kernel.
pub(crate) fn uuid() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/uuid")?
        .trim()
        .to_owned())
}

/// A container id.
fn container_id() -> Result<String> {
    Ok(format!("{}{}", uuid()?, uuid()?).replace('-', ""))
}

impl Pod {
    /// Makes a pod with a network namespace of its own.
    pub fn new(network: &Network, namespace: &str, name: &str) -> Result<Self> {
        Self::on_host_network(namespace, name)?.plugged(network)
    }

    /// Makes a pod that shares the node's network: cgroup and log folder only.
    pub fn on_host_network(namespace: &str, name: &str) -> Result<Self> {
        Self::laid_out(namespace, name, uuid()?, Layout::default())
    }

    /// The same with a uid and cgroups as they are told: first the pod's own, then its logs, then its container's, as kubelet and
    /// runtime do it.
    pub fn laid_out(namespace: &str, name: &str, uid: String, layout: Layout) -> Result<Self> {
        let container = container_id()?;
        let pod = Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            scope: layout.container(&uid, &container),
            logs: Path::new(LOGS).join(format!("{namespace}_{name}_{uid}")),
            uid,
            container,
            sandbox: container_id()?,
            layout,
            wire: None,
        };
        cgroup::create(&layout.pod(&pod.uid))?;
        fs::create_dir_all(pod.logs.join("app"))?;
        cgroup::create(&pod.scope)?;
        Ok(pod)
    }

    /// The same pod with a network namespace of its own, which a pause process in the sandbox's cgroup holds.
    pub fn plugged(mut self, network: &Network) -> Result<Self> {
        let sandbox = self.layout.container(&self.uid, &self.sandbox);
        cgroup::create(&sandbox)?;
        let netns = Netns::new(Some(&sandbox))?;
        // As between hosts: see the other end of the wire.
        network::ip_in(netns.file(), "link set lo gso_max_segs 1")?;
        let (address, port) = network.plug(netns.pid(), netns.file())?;
        self.wire = Some(Wire {
            netns,
            address,
            port,
        });
        Ok(self)
    }

    /// The name that reports show: `NAMESPACE/NAME`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its namespace and its name.
    #[must_use]
    pub fn names(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// The folder of the workload's cgroup.
    #[must_use]
    pub fn scope(&self) -> &Path {
        &self.scope
    }

    /// Its address on the bridge; the node's for a pod on the host network.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.wire
            .as_ref()
            .map_or(network::NODE, |wire| wire.address)
    }

    /// A TCP endpoint of the pod.
    #[must_use]
    pub fn endpoint(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address(), port)
    }

    /// The kernel's counters of its network namespace.
    pub fn counters(&self) -> Result<Counters> {
        Counters::of_pid(self.netns_pid())
    }

    /// The inode number of its network namespace, as decimal digits.
    pub fn netns(&self) -> Result<String> {
        netns::inode_of(self.netns_pid())
    }

    /// Its network namespace as a file.
    pub fn netns_file(&self) -> Result<File> {
        File::open(self.proc("ns/net")).context("no network namespace")
    }

    /// A file of `/proc/PID` of a process in its network namespace.
    #[must_use]
    pub fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.netns_pid().to_string())
            .join(name)
    }

    fn netns_pid(&self) -> u32 {
        self.wire
            .as_ref()
            .map_or_else(std::process::id, |wire| wire.netns.pid())
    }

    /// Starts a recipe as the pod's workload and waits until it is ready.
    pub fn recipe(&self, arguments: &str) -> Result<Recipe> {
        self.start(arguments, Some(&self.scope))
    }

    /// Starts a recipe in the pod's network but in no cgroup of its own: the world outside, seen by no pod.
    pub fn outside(&self, arguments: &str) -> Result<Recipe> {
        self.start(arguments, None)
    }

    fn start(&self, arguments: &str, scope: Option<&Path>) -> Result<Recipe> {
        let netns = self.wire.as_ref().map(|wire| &wire.netns);
        netns::start_recipe(&self.full_name(), arguments, scope, netns)
    }

    /// Runs a program of the node in the pod's network and gives what it prints.
    pub fn run(&self, program: &str, arguments: &str) -> Result<String> {
        let wire = self.wire.as_ref().context("a pod on the host network")?;
        network::run_in(wire.netns.file(), program, arguments)
    }

    /// Delays everything on the pod's loopback device.
    pub fn delay_loopback(&self, milliseconds: u32) -> Result<()> {
        let arguments = format!("qdisc add dev lo root netem delay {milliseconds}ms");
        self.run("tc", &arguments).map(drop)
    }

    /// Lets the pod's link lose some of a hundred packets that it sends.
    pub fn lose(&self, percent: u32) -> Result<()> {
        let wire = self.wire.as_ref().context("a pod on the host network")?;
        let arguments = format!("qdisc add dev eth0 root netem loss {percent}%");
        network::run_in(wire.netns.file(), "tc", &arguments).map(drop)
    }

    /// Pulls the pod's cable at the node, or plugs it in again: what goes around within the pod goes on.
    pub fn plug(&self, plugged: bool) -> Result<()> {
        let port = self.wire.as_ref().and_then(|wire| wire.port.as_ref());
        let port = port.context("a pod without a cable")?;
        let state = if plugged { "up" } else { "down" };
        network::ip(&format!("link set {port} {state}")).map(drop)
    }

    /// Pulls the pod's cable at the node, and takes its loopback device down: nothing goes in or out or around any more, and no
    /// socket is told.
    pub fn cut(&self) -> Result<()> {
        let wire = self
            .wire
            .as_ref()
            .context("a pod on the host network has no cable")?;
        network::ip_in(wire.netns.file(), "link set lo down")?;
        match &wire.port {
            Some(port) => network::ip(&format!("link set {port} down")).map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Removing is done as far as it goes: the sweep after each scenario sees to the rest.
        let port = self.wire.take().and_then(|wire| wire.port);
        if let Err(error) = cgroup::remove(&self.layout.pod(&self.uid)) {
            eprintln!("lab: a pod leaves its cgroup behind: {error:#}");
        }
        let _ = fs::remove_dir_all(&self.logs);
        if let Some(port) = port {
            // It goes by itself with the namespace, but only some time after.
            let _ = network::ip(&format!("link del {port}"));
        }
    }
}
