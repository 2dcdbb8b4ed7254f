//! A pod made over CRI, with what the kubelet does around it: the pod's cgroup and its limits, labels and annotations, folders of
//! logs. What a container prints is read from its log.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tracer_cri::v1 as cri;

use super::image;
use super::log;
use super::runtime::Runtime;
use crate::cgroup;
use crate::network;
use crate::pod::LOGS;
use crate::snmp::Counters;

/// The node's address on the bridge of the pods.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// A folder of the node that every container of the lab sees under the same path: for the files that let recipes go on.
pub(super) const SHARED: &str = "/run/tcpress-lab/shared";
/// How long a recipe may take to say that it is ready.
const READY: Duration = Duration::from_secs(60);
/// How long a container may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// CFS period of the kubelet, in microseconds.
const PERIOD: i64 = 100_000;

/// What a pod asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec {
    /// Kubernetes namespace.
    pub(super) namespace: String,
    /// Kubernetes name.
    pub(super) name: String,
    /// Whether it shares the node's network.
    pub(super) host_network: bool,
    /// The pod's own labels.
    pub(super) labels: Vec<(String, String)>,
    /// Limit of memory in bytes.
    pub(super) memory: Option<i64>,
}

impl Spec {
    /// A pod `NAMESPACE/NAME` without limits.
    #[must_use]
    pub(super) fn new(full_name: &str) -> Self {
        let (namespace, name) = full_name.split_once('/').unwrap_or(("default", full_name));
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// On the node's network.
    #[must_use]
    pub(super) fn on_host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// With a limit of memory in bytes.
    #[must_use]
    pub(super) fn memory(mut self, bytes: i64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// With a label.
    #[must_use]
    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }
}

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
        let logs = logs(&spec, &uid);
        fs::create_dir_all(&logs)?;
        let config = sandbox_config(&spec, &uid, &logs);
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
        pod.pause = pid(&status.info).context("containerd names no pause process")?;
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

    /// The name that reports show: `NAMESPACE/NAME`.
    #[must_use]
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.spec.namespace, self.spec.name)
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

    /// The kernel's counters of its network namespace; those of the node for a pod on the host network.
    pub(super) fn counters(&self) -> Result<Counters> {
        Counters::of_pid(self.pause)
    }

    /// Its network namespace as a file.
    pub(super) fn netns_file(&self) -> Result<fs::File> {
        let path = format!("/proc/{}/ns/net", self.pause);
        fs::File::open(&path).with_context(|| format!("cannot open {path}"))
    }

    /// Whether it shares the node's network.
    #[must_use]
    pub(super) fn on_host_network(&self) -> bool {
        self.spec.host_network
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
        let log = format!("{name}/{attempt}.log");
        let linux = cri::LinuxContainerConfig {
            resources: Some(cri::LinuxContainerResources {
                cpu_period: PERIOD,
                memory_limit_in_bytes: self.spec.memory.unwrap_or(0),
                oom_score_adj: 999,
                ..Default::default()
            }),
            security_context: Some(cri::LinuxContainerSecurityContext {
                namespace_options: Some(self.namespaces()),
                ..Default::default()
            }),
        };
        let config = cri::ContainerConfig {
            metadata: Some(cri::ContainerMetadata {
                name: name.to_owned(),
                attempt,
            }),
            image: Some(cri::ImageSpec {
                image: image.to_owned(),
                ..Default::default()
            }),
            command,
            mounts: vec![cri::Mount {
                container_path: SHARED.to_owned(),
                host_path: SHARED.to_owned(),
                ..Default::default()
            }],
            labels: container_labels(&self.spec, &self.uid, name),
            annotations: container_annotations(attempt),
            log_path: log.clone(),
            linux: Some(linux),
            ..Default::default()
        };
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
            log: logs.join(log),
        })
    }

    fn namespaces(&self) -> cri::NamespaceOption {
        namespaces(self.spec.host_network)
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

impl Drop for Pod {
    fn drop(&mut self) {
        if let Err(error) = self.take_away() {
            eprintln!("lab: {} is not gone: {error:#}", self.full_name());
        }
    }
}

/// A container of a pod; it goes with its pod.
pub(super) struct Container {
    runtime: Rc<Runtime>,
    name: String,
    id: String,
    log: PathBuf,
}

impl Container {
    /// Waits for a line of its output.
    pub(super) fn line(&self, wait: Duration, found: impl Fn(&str) -> bool) -> Result<String> {
        let end = Instant::now() + wait;
        loop {
            let lines = log::lines(&self.log);
            if let Some(line) = lines.iter().find(|line| found(line)) {
                return Ok(line.clone());
            }
            if Instant::now() > end {
                let tail = lines[lines.len().saturating_sub(4)..].join(" | ");
                bail!(
                    "{}: the expected line did not come within {} s; it said: {tail}",
                    self.name,
                    wait.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The last whole line of its output, as JSON.
    pub(super) fn last(&self) -> Result<Value> {
        let lines = log::lines(&self.log);
        let last = lines.last().context("a container without output")?;
        serde_json::from_str(last).with_context(|| format!("no JSON: {last}"))
    }

    /// Waits until a recipe says that its work is done; gives what it said.
    pub(super) fn done(&self, wait: Duration) -> Result<Value> {
        let line = self.line(wait, |line| line.contains("\"done\""))?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Limits its processor time to so many thousandths of one.
    pub(super) fn limit_cpu(&self, thousandths: i64) -> Result<()> {
        let linux = cri::LinuxContainerResources {
            cpu_period: PERIOD,
            cpu_quota: thousandths * PERIOD / 1000,
            ..Default::default()
        };
        self.runtime.limit_container(&self.id, linux)
    }

    /// Asks it to end, waits, and removes it.
    pub(super) fn stop(&self) -> Result<()> {
        self.runtime.stop_container(&self.id, GRACE)?;
        self.runtime.remove_container(&self.id)
    }
}

/// The pod's cgroup as the kubelet's cgroupfs driver names it.
fn parent(uid: &str) -> String {
    format!("kubepods/burstable/pod{uid}")
}

fn logs(spec: &Spec, uid: &str) -> PathBuf {
    let folder = format!("{}_{}_{uid}", spec.namespace, spec.name);
    Path::new(LOGS).join(folder)
}

/// What containerd tells of a process in the part for people.
fn pid(info: &HashMap<String, String>) -> Option<u32> {
    let info: Value = serde_json::from_str(info.get("info")?).ok()?;
    u32::try_from(info["pid"].as_u64()?).ok()
}

fn namespaces(host_network: bool) -> cri::NamespaceOption {
    let network = if host_network {
        cri::NamespaceMode::Node
    } else {
        cri::NamespaceMode::Pod
    };
    cri::NamespaceOption {
        network: network.into(),
        pid: cri::NamespaceMode::Container.into(),
        ipc: cri::NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn sandbox_config(spec: &Spec, uid: &str, logs: &Path) -> cri::PodSandboxConfig {
    let mut labels: HashMap<String, String> = spec.labels.iter().cloned().collect();
    labels.extend(pod_labels(spec, uid));
    cri::PodSandboxConfig {
        metadata: Some(cri::PodSandboxMetadata {
            name: spec.name.clone(),
            uid: uid.to_owned(),
            namespace: spec.namespace.clone(),
            attempt: 0,
        }),
        hostname: if spec.host_network {
            String::new()
        } else {
            spec.name.clone()
        },
        log_directory: logs.to_string_lossy().into_owned(),
        labels,
        annotations: HashMap::from(
            [
                ("kubernetes.io/config.seen", "2026-01-01T00:00:00Z"),
                ("kubernetes.io/config.source", "api"),
            ]
            .map(owned),
        ),
        linux: Some(cri::LinuxPodSandboxConfig {
            cgroup_parent: format!("/{}", parent(uid)),
            security_context: Some(cri::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces(spec.host_network)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn pod_labels(spec: &Spec, uid: &str) -> [(String, String); 3] {
    [
        ("io.kubernetes.pod.name", spec.name.as_str()),
        ("io.kubernetes.pod.namespace", &spec.namespace),
        ("io.kubernetes.pod.uid", uid),
    ]
    .map(owned)
}

fn container_labels(spec: &Spec, uid: &str, name: &str) -> HashMap<String, String> {
    let own = owned(("io.kubernetes.container.name", name));
    pod_labels(spec, uid).into_iter().chain([own]).collect()
}

fn container_annotations(attempt: u32) -> HashMap<String, String> {
    let attempt = attempt.to_string();
    HashMap::from(
        [
            ("io.kubernetes.container.hash", "5f3759df"),
            ("io.kubernetes.container.restartCount", attempt.as_str()),
            (
                "io.kubernetes.container.terminationMessagePath",
                "/dev/termination-log",
            ),
            ("io.kubernetes.container.terminationMessagePolicy", "File"),
            ("io.kubernetes.pod.terminationGracePeriod", "30"),
        ]
        .map(owned),
    )
}
