//! A pod as kubelet and runtime leave it on a node, without either: cgroup slice and scopes, a network namespace that a
//! pause process holds, a port on the bridge, and the log folder that carries the pod's name.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::network::{self, Network};
use crate::process::{Finished, Process, Start};
use crate::snmp::Counters;
use crate::{cgroup, sys};

/// Where kubelet keeps the logs of pods, one folder `NAMESPACE_NAME_UID` each.
pub const LOGS: &str = "/var/log/pods";
/// How long a recipe may take to say that it is ready.
const READY: Duration = Duration::from_secs(30);

/// What makes a pod's network.
struct Wire {
    netns: File,
    address: Ipv4Addr,
    port: String,
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
    scope: PathBuf,
    logs: PathBuf,
    wire: Option<Wire>,
    pause: Option<Process>,
}

/// A random uuid of the kernel.
fn uuid() -> Result<String> {
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
        let mut pod = Self::on_host_network(namespace, name)?;
        let sandbox = cgroup::container_path(&pod.uid, &container_id()?);
        cgroup::create(&sandbox)?;
        let mut command = lab()?;
        command.arg("pause");
        place(&mut command, Some(&sandbox), None)?;
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(sys::new_netns) };
        let pause = Process::start("pause", &mut command, Start::default())?;
        pause.stdout_line(READY, |line| line.contains("ready"))?;
        let netns = File::open(format!("/proc/{}/ns/net", pause.pid()))?;
        let (address, port) = network.plug(pause.pid(), &netns)?;
        pod.wire = Some(Wire {
            netns,
            address,
            port,
        });
        pod.pause = Some(pause);
        Ok(pod)
    }

    /// Makes a pod that shares the node's network: cgroup and log folder only.
    pub fn on_host_network(namespace: &str, name: &str) -> Result<Self> {
        let (uid, container) = (uuid()?, container_id()?);
        let scope = cgroup::container_path(&uid, &container);
        let logs = Path::new(LOGS).join(format!("{namespace}_{name}_{uid}"));
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let pod = Self {
            namespace,
            name,
            uid,
            container,
            scope,
            logs,
            wire: None,
            pause: None,
        };
        cgroup::create(&pod.scope)?;
        fs::create_dir_all(pod.logs.join("app"))?;
        Ok(pod)
    }

    /// The name that reports show: `NAMESPACE/NAME`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
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
        self.pause
            .as_ref()
            .map_or_else(Counters::here, |pause| Counters::of_pid(pause.pid()))
    }

    /// The inode number of its network namespace, as decimal digits.
    pub fn netns(&self) -> Result<String> {
        let pid = self
            .pause
            .as_ref()
            .map_or_else(std::process::id, Process::pid);
        netns_of(pid)
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
        start_recipe(&self.full_name(), arguments, scope, netns)
    }

    /// Pulls the pod's cable at the node: nothing goes in or out any more, and no socket is told.
    pub fn cut(&self) -> Result<()> {
        let wire = self
            .wire
            .as_ref()
            .context("a pod on the host network has no cable")?;
        network::ip(&format!("link set {} down", wire.port)).map(drop)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Removing is done as far as it goes: the sweep after each scenario sees to the rest.
        self.pause = None;
        let _ = cgroup::remove(&cgroup::pod_path(&self.uid));
        let _ = fs::remove_dir_all(&self.logs);
        if let Some(wire) = &self.wire {
            let _ = network::ip(&format!("link del {}", wire.port));
        }
    }
}

/// The inode number of a process's network namespace, as decimal digits.
pub fn netns_of(pid: u32) -> Result<String> {
    let link = fs::read_link(format!("/proc/{pid}/ns/net"))?;
    let digits: String = link
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    Ok(digits)
}

/// A recipe on the node itself: no pod, no cgroup of its own.
pub fn node_recipe(arguments: &str) -> Result<Recipe> {
    start_recipe("node", arguments, None, None)
}

fn start_recipe(
    whose: &str,
    arguments: &str,
    scope: Option<&Path>,
    netns: Option<&File>,
) -> Result<Recipe> {
    let name = format!("{whose}: {arguments}");
    let mut command = lab()?;
    command
        .arg("recipe")
        .args(arguments.split_ascii_whitespace());
    place(&mut command, scope, netns)?;
    let process = Process::start(&name, &mut command, Start::default())?;
    process.stdout_line(READY, |line| line.contains("\"ready\""))?;
    Ok(Recipe(process))
}

/// This very program, to be run again as a workload.
fn lab() -> Result<Command> {
    let program =
        std::env::var_os("LAB").map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    Ok(Command::new(program))
}

/// Makes the command start inside a cgroup and a network namespace.
fn place(command: &mut Command, scope: Option<&Path>, netns: Option<&File>) -> Result<()> {
    let procs = scope
        .map(|scope| {
            OpenOptions::new()
                .write(true)
                .open(scope.join("cgroup.procs"))
        })
        .transpose()
        .context("cannot open cgroup.procs")?;
    let netns = netns.map(File::try_clone).transpose()?;
    let enter = move || {
        if let Some(mut procs) = procs.as_ref() {
            // To the kernel, 0 is whoever writes.
            procs.write_all(b"0")?;
        }
        netns
            .as_ref()
            .map_or(Ok(()), |netns| sys::enter_netns(netns.as_fd()))
    };
    // SAFETY: the closure makes two system calls on descriptors opened before; it allocates nothing.
    unsafe { command.pre_exec(enter) };
    Ok(())
}

/// A running recipe.
pub struct Recipe(Process);

impl Recipe {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Waits until it says that its work is done (it then stays until stopped); gives what it said.
    pub fn done(&self, wait: Duration) -> Result<serde_json::Value> {
        let line = self.0.stdout_line(wait, |line| line.contains("\"done\""))?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Ends it and gives its result.
    pub fn stop(self) -> Result<serde_json::Value> {
        let finished: Finished = self.0.stop(libc::SIGTERM, Duration::from_secs(10))?;
        finished.expect_code(0)?;
        let last = finished
            .stdout
            .last()
            .context("a recipe without a result")?;
        Ok(serde_json::from_str(last)?)
    }
}
