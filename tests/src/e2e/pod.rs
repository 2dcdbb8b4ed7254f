//! A pod made over CRI, with what the kubelet does around it.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tracer_cri::v1 as cri;

use super::container::Container;
pub(super) use super::cri_config::Spec;
use super::cri_config::{container_config, log, logs, parent, sandbox_config};
use super::image;
use super::runtime::Runtime;
use super::truth::Counted;
use crate::cgroup;
use crate::network;
use crate::snmp::Counters;

/// The node's address on the bridge of the pods.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// A folder of the node that every container of the lab sees under the same path: for the files that let recipes go on.
pub(super) const SHARED: &str = "/run/tcpress-lab/shared";
/// How long a recipe may take to say that it is ready.
const READY: Duration = Duration::from_secs(60);

/// A pod; everything of it is removed when it is dropped.
pub(super) struct Pod {
    runtime: Rc<Runtime>,
    spec: Spec,
    uid: String,
    config: cri::PodSandboxConfig,
    sandbox: String,
    pause: u32,
    address: Ipv4Addr,
    gone: bool,
}

impl Pod {
    /// Makes the pod's cgroup and its sandbox.
    pub(super) fn new(runtime: &Rc<Runtime>, spec: Spec) -> Result<Self> {
        let uid = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let uid = uid.trim().to_owned();
        let folder = cgroup::in_first(&parent(&uid));
        cgroup::create(&folder)?;
        if let Some(bytes) = spec.memory {
            // The kubelet limits the pod as a whole where each of its containers is limited.
            fs::write(folder.join("memory.max"), bytes.to_string())
                .context("cannot limit the pod's memory")?;
        }
        fs::create_dir_all(logs(&spec, &uid))?;
        let config = sandbox_config(&spec, &uid);
        let sandbox = runtime.run_sandbox(&config)?;
        let mut pod = Self {
            runtime: Rc::clone(runtime),
            spec,
            uid,
            config,
            sandbox,
            pause: 0,
            address: NODE,
            gone: false,
        };
        let status = runtime.sandbox(&pod.sandbox)?;
        pod.pause = pause_pid(&status.info).context("containerd names no pause process")?;
        if !pod.spec.host_network {
            let network = status.status.and_then(|it| it.network);
            let address = network.and_then(|it| it.ip.parse().ok());
            let Some(IpAddr::V4(address)) = address else {
                bail!("{} has no address", pod.full_name());
            };
            pod.address = address;
            // Segments of wire size, as from another host: one huge segment would find an empty queue and always be admitted.
            network::ip_in(&pod.netns_file()?, "link set eth0 gso_max_segs 1")?;
        }
        Ok(pod)
    }

    /// Its namespace and its name.
    #[must_use]
    pub(super) fn names(&self) -> (&str, &str) {
        (&self.spec.namespace, &self.spec.name)
    }

    /// Its uid.
    #[must_use]
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// A TCP endpoint of the pod.
    #[must_use]
    pub(super) fn endpoint(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }

    fn cgroup(&self) -> PathBuf {
        cgroup::in_first(&parent(&self.uid))
    }

    /// Bytes of memory that are charged to it.
    pub(super) fn memory(&self) -> Result<i64> {
        let path = self.cgroup().join("memory.current");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim().parse()?)
    }

    /// Limits the memory of the pod as a whole.
    pub(super) fn limit_memory(&self, bytes: i64) -> Result<()> {
        let path = self.cgroup().join("memory.max");
        fs::write(&path, bytes.to_string())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Lets the kernel end no process of the pod for want of memory.
    pub(super) fn spare(&self) -> Result<()> {
        for pid in cgroup::all_processes(&self.cgroup()) {
            fs::write(format!("/proc/{pid}/oom_score_adj"), "-1000")
                .context("cannot spare a process")?;
        }
        Ok(())
    }

    /// Its network namespace as a file.
    pub(super) fn netns_file(&self) -> Result<fs::File> {
        let path = format!("/proc/{}/ns/net", self.pause);
        fs::File::open(&path).with_context(|| format!("cannot open {path}"))
    }

    /// Starts a recipe as a container and waits until it is ready.
    pub(super) fn recipe(&self, container: &str, arguments: &str) -> Result<Container> {
        let mut words = vec!["/lab".to_owned(), "recipe".to_owned()];
        words.extend(arguments.split_ascii_whitespace().map(str::to_owned));
        let container = self.run(container, 0, image::LAB, words)?;
        container.line(READY, |line| line.contains("\"ready\""))?;
        Ok(container)
    }

    /// Starts redis-server as a container and waits until it takes connections; `attempt` counts its restarts.
    pub(super) fn redis(&self, attempt: u32) -> Result<Container> {
        let words =
            "/usr/bin/redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --appendonly no";
        let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        words.extend(["--save".to_owned(), String::new()]);
        let container = self.run("redis", attempt, image::REDIS, words)?;
        container.line(READY, |line| line.contains("Ready to accept connections"))?;
        Ok(container)
    }

    fn run(
        &self,
        name: &str,
        attempt: u32,
        image: &str,
        command: Vec<String>,
    ) -> Result<Container> {
        fs::create_dir_all(SHARED)?;
        let config = container_config(&self.spec, &self.uid, (name, attempt), image, command);
        let logs = logs(&self.spec, &self.uid);
        fs::create_dir_all(logs.join(name))?;
        let id = self
            .runtime
            .run_container(&self.sandbox, &self.config, config)
            .with_context(|| format!("{}: container {name}", self.full_name()))?;
        Ok(Container {
            runtime: Rc::clone(&self.runtime),
            name: format!("{}, container {name}", self.full_name()),
            id,
            log: logs.join(log(name, attempt)),
        })
    }

    /// Ends the pod as the kubelet does: its containers, its network, its sandbox, then its cgroup and its logs.
    pub(super) fn remove(mut self) -> Result<()> {
        self.take_away()
    }

    fn take_away(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.gone, true) {
            return Ok(());
        }
        self.runtime.stop_sandbox(&self.sandbox)?;
        self.runtime.remove_sandbox(&self.sandbox)?;
        cgroup::remove(&self.cgroup())?;
        let logs = logs(&self.spec, &self.uid);
        fs::remove_dir_all(&logs).with_context(|| format!("cannot remove {}", logs.display()))
    }
}

impl Counted for Pod {
    fn full_name(&self) -> String {
        format!("{}/{}", self.spec.namespace, self.spec.name)
    }

    fn counters(&self) -> Result<Counters> {
        Counters::of_pid(self.pause)
    }

    fn on_host_network(&self) -> bool {
        self.spec.host_network
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if let Err(error) = self.take_away() {
            eprintln!("lab: {} is not gone: {error:#}", self.full_name());
        }
    }
}

/// What containerd tells of a process in the part for people.
pub(super) fn pause_pid(info: &HashMap<String, String>) -> Option<u32> {
    let info: Value = serde_json::from_str(info.get("info")?).ok()?;
    u32::try_from(info["pid"].as_u64()?).ok()
}
