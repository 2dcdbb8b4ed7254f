//! A real kubelet, by itself: without an API server, its pods come from a folder of manifests (Kubernetes' documentation, "Create static
//! Pods").

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tracer_cri::v1 as cri;

use super::log;
use super::pod::{NODE, SHARED, pause_pid};
use super::runtime::{Runtime, SOCKET};
use super::truth::Counted;
use crate::network::{self, ip};
use crate::pod::LOGS;
use crate::process::{Process, Start};
use crate::snmp::Counters;

const MANIFESTS: &str = "/etc/kubernetes/manifests";
const CONFIG: &str = "/run/tcpress-lab/kubelet.json";
/// How long it may take until a pod runs, or is gone, under software emulation.
const PATIENCE: Duration = Duration::from_secs(180);

/// The running kubelet.
pub(super) struct Kubelet {
    process: Process,
    runtime: Rc<Runtime>,
    node: String,
}

impl Kubelet {
    /// Starts it against containerd.
    pub(super) fn start(program: &Path, runtime: &Rc<Runtime>) -> Result<Self> {
        // What it calls the node; the names of its static pods end in it.
        let node = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let node = node.trim().to_lowercase();
        // It looks for the node's address where the default route leads.
        ip("link add uplink type dummy")?;
        ip("address add 192.0.2.10/24 dev uplink")?;
        ip("link set uplink up")?;
        ip("route add default via 192.0.2.1 dev uplink")?;
        fs::create_dir_all(MANIFESTS)?;
        fs::create_dir_all(SHARED)?;
        fs::write(CONFIG, config().to_string())
            .with_context(|| format!("cannot write {CONFIG}"))?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config={CONFIG}"))
            .arg("--container-runtime=remote")
            .arg(format!("--container-runtime-endpoint=unix://{SOCKET}"))
            .arg("--v=1");
        let process = Process::start("kubelet", &mut command, Start::default())?;
        Ok(Self {
            process,
            runtime: Rc::clone(runtime),
            node,
        })
    }

    /// Gives it a manifest, and waits until containerd has the pod's sandbox.
    pub(super) fn run(&mut self, manifest: &Value) -> Result<StaticPod> {
        let text = |pointer: &str| {
            let value = manifest.pointer(pointer).and_then(Value::as_str);
            value
                .map(str::to_owned)
                .with_context(|| format!("the manifest has no {pointer}"))
        };
        let (namespace, name) = (text("/metadata/namespace")?, text("/metadata/name")?);
        let file = Path::new(MANIFESTS).join(format!("{namespace}-{name}.json"));
        fs::write(&file, manifest.to_string())?;
        let full = format!("{name}-{}", self.node);
        let status = self.await_sandbox(&full, |found| found)?;
        let status = status.context("the sandbox is gone again")?;
        let pause = pause_pid(&status.info).context("containerd names no pause process")?;
        let status = status.status.context("a sandbox without a status")?;
        let host_network = manifest["spec"]["hostNetwork"] == true;
        let address = status.network.and_then(|it| it.ip.parse().ok());
        let address = address.or(host_network.then_some(NODE));
        let pod = StaticPod {
            address: address.with_context(|| format!("{full} has no address"))?,
            namespace,
            name: full,
            uid: status.metadata.context("a sandbox without names")?.uid,
            pause,
            host_network,
            file,
        };
        if !host_network {
            // As with the lab's own pods: segments of wire size.
            network::ip_in(&pod.netns_file()?, "link set eth0 gso_max_segs 1")?;
        }
        Ok(pod)
    }

    /// Takes a manifest away, and waits until the pod's sandbox is gone.
    pub(super) fn remove(&mut self, pod: &StaticPod) -> Result<()> {
        fs::remove_file(&pod.file)?;
        self.await_sandbox(&pod.name, |found| !found).map(drop)
    }

    /// Waits until a pod's sandbox runs, or does not any more.
    fn await_sandbox(
        &mut self,
        name: &str,
        wanted: impl Fn(bool) -> bool,
    ) -> Result<Option<cri::PodSandboxStatusResponse>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = self.sandbox(name)?;
            if wanted(found.is_some()) {
                return Ok(found);
            }
            if !self.process.running() || Instant::now() > end {
                let said = self.process.stderr_so_far();
                let tail = said[said.len().saturating_sub(12)..].join(" | ");
                bail!("the kubelet does not bring {name} where it should be: {tail}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The sandbox of a pod that is ready.
    fn sandbox(&self, name: &str) -> Result<Option<cri::PodSandboxStatusResponse>> {
        for id in self.runtime.sandboxes()? {
            // One that is removed meanwhile is gone.
            let Ok(found) = self.runtime.sandbox(&id) else {
                continue;
            };
            let status = found.status.as_ref();
            let ready = status.is_some_and(|it| it.state() == cri::PodSandboxState::SandboxReady);
            let metadata = status.and_then(|it| it.metadata.as_ref());
            if ready && metadata.is_some_and(|it| it.name == name) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// A pod that the kubelet has made of a manifest.
pub(super) struct StaticPod {
    /// Its namespace.
    pub(super) namespace: String,
    /// Its name, which ends in the node's.
    pub(super) name: String,
    /// Its uid, as the kubelet has told containerd.
    pub(super) uid: String,
    pause: u32,
    address: Ipv4Addr,
    host_network: bool,
    file: PathBuf,
}

impl StaticPod {
    /// A TCP endpoint of it.
    #[must_use]
    pub(super) fn endpoint(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }

    fn netns_file(&self) -> Result<fs::File> {
        let path = format!("/proc/{}/ns/net", self.pause);
        fs::File::open(&path).with_context(|| format!("cannot open {path}"))
    }

    /// The folder that the kubelet has made for its logs.
    pub(super) fn logs(&self) -> PathBuf {
        let folder = format!("{}_{}_{}", self.namespace, self.name, self.uid);
        Path::new(LOGS).join(folder)
    }

    fn log(&self, container: &str) -> PathBuf {
        self.logs().join(container).join("0.log")
    }

    /// The cgroup that the kubelet has made for it, as the kernel names it: the parent of its pause container's.
    pub(super) fn cgroup(&self) -> Result<String> {
        let path = format!("/proc/{}/cgroup", self.pause);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let own = text.lines().find_map(|line| line.strip_prefix("0::"));
        let parent = own.and_then(|own| Some(own.rsplit_once('/')?.0));
        Ok(parent
            .context("the pause process is in no cgroup")?
            .to_owned())
    }

    /// Waits for a line of a container's output.
    pub(super) fn line(&self, container: &str, text: &str) -> Result<()> {
        let name = format!("{}, container {container}", self.full_name());
        let found = |line: &str| line.contains(text);
        log::wait(&self.log(container), &name, PATIENCE, found).map(drop)
    }

    /// The last whole line of a container's output, as JSON.
    pub(super) fn last(&self, container: &str) -> Result<Value> {
        log::last(&self.log(container))
    }
}

impl Counted for StaticPod {
    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn counters(&self) -> Result<Counters> {
        Counters::of_pid(self.pause)
    }

    fn on_host_network(&self) -> bool {
        self.host_network
    }
}

/// A manifest of a pod with these containers.
pub(super) fn manifest(full_name: &str, team: &str, containers: &[Value]) -> Result<Value> {
    let (namespace, name) = full_name.split_once('/').context("no namespace")?;
    ensure!(!containers.is_empty(), "a pod without containers");
    let folder = json!({"name": "shared", "hostPath": {"path": SHARED, "type": "Directory"}});
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"team": team}},
        "spec": {
            "containers": containers,
            "volumes": [folder],
            "terminationGracePeriodSeconds": 2,
            "enableServiceLinks": false,
        },
    }))
}

/// A container of an image that is there already.
pub(super) fn container(name: &str, image: &str, command: &str) -> Value {
    let words: Vec<&str> = command.split(' ').collect();
    json!({
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": words,
        "volumeMounts": [{"name": "shared", "mountPath": SHARED}],
    })
}

/// Settings of a kubelet that has no API server to ask (`kubelet.config.k8s.io/v1beta1`).
fn config() -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "staticPodPath": MANIFESTS,
        "fileCheckFrequency": "1s",
        "syncFrequency": "5s",
        "cgroupDriver": "cgroupfs",
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "address": "127.0.0.1",
        "healthzPort": 0,
        "failSwapOn": false,
        "runtimeRequestTimeout": "2m",
        "evictionHard": {"memory.available": "1Mi"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
    })
}
