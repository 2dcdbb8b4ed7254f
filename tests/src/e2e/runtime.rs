//! containerd as Debian ships it, and CRI as the kubelet speaks it: one request at a time, each with a deadline.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_cri::tonic::transport::Channel;
use tracer_cri::tonic::{Response, Status};
use tracer_cri::v1::runtime_service_client::RuntimeServiceClient;
use tracer_cri::v1::{self as cri, ContainerConfig, PodSandboxConfig};

use super::image;
use crate::process::{Process, Start, run};
use crate::sys;

/// Where containerd listens, also for whoever looks for the runtime of this node.
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
/// The longest that one request may take, under software emulation too.
const LIMIT: Duration = Duration::from_secs(120);
/// How long containerd may take to listen, beside everything else that an emulated node does.
const STARTING: Duration = Duration::from_secs(240);
/// Lines of what it said last that tell why it does not.
const LAST_WORDS: usize = 5;
/// Where CNI configurations lie, and the one of this node.
const NETWORKS: &str = "/etc/cni/net.d";
/// A bridge as most nodes have one. The node routes; nothing is translated.
const NETWORK: &str = r#"{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{
    "type": "bridge",
    "bridge": "cni0",
    "isGateway": true,
    "ipam": {
      "type": "host-local",
      "ranges": [[{"subnet": "10.88.0.0/16"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
"#;
const CONFIG: &str = "/run/tcpress-lab/containerd.toml";

/// A running containerd; its containers outlive it.
pub(super) struct Runtime {
    /// Whoever has started it ends it.
    containerd: RefCell<Option<Process>>,
    executor: tokio::runtime::Runtime,
    client: RuntimeServiceClient<Channel>,
}

impl Runtime {
    /// Starts containerd, gives it the images, and connects.
    pub(super) fn start() -> Result<Self> {
        // Containers inherit it.
        sys::raise_open_files()?;
        fs::create_dir_all(NETWORKS)?;
        fs::write(Path::new(NETWORKS).join("10-pods.conflist"), NETWORK)?;
        fs::create_dir_all("/run/tcpress-lab")?;
        fs::write(CONFIG, config()).with_context(|| format!("cannot write {CONFIG}"))?;
        // containerd copies it into every pod; a guest without a resolver has none.
        if !Path::new("/etc/resolv.conf").exists() {
            fs::write("/etc/resolv.conf", "")?;
        }
        let mut containerd = containerd()?;
        let end = Instant::now() + STARTING;
        while !Path::new(SOCKET).exists() {
            ensure!(
                containerd.running() && Instant::now() < end,
                "containerd does not listen: {}",
                containerd.stderr_so_far().join(" | ")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let archive = image::archive(Path::new("/run/tcpress-lab/images"))?;
        run(Command::new("ctr")
            .args(["--namespace", "k8s.io", "images", "import"])
            .arg(archive))
        .context("containerd does not take the images")?;
        Ok(Self {
            containerd: RefCell::new(Some(containerd)),
            ..Self::connect()?
        })
    }

    /// Connects to one that runs.
    pub(super) fn connect() -> Result<Self> {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let channel = executor
            .block_on(tracer_cri::connect(Path::new(SOCKET)))
            .context("containerd does not speak CRI")?;
        Ok(Self {
            containerd: RefCell::default(),
            executor,
            client: RuntimeServiceClient::new(channel),
        })
    }

    /// Kills it; its containers go on, and its socket stays where it is.
    pub(super) fn kill(&self) -> Result<()> {
        let containerd = self.containerd.take();
        let containerd = containerd.context("this containerd was started by somebody else")?;
        containerd.stop(libc::SIGKILL, STARTING).map(drop)
    }

    /// Starts it again, and waits until it answers.
    pub(super) fn start_again(&self) -> Result<()> {
        let mut containerd = containerd()?;
        let end = Instant::now() + STARTING;
        while let Err(error) = self.sandboxes() {
            let said = containerd.stderr_so_far();
            ensure!(
                containerd.running() && Instant::now() < end,
                "containerd does not come back: {error:#}; {}",
                said[said.len().saturating_sub(LAST_WORDS)..].join(" | ")
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        self.containerd.replace(Some(containerd));
        Ok(())
    }

    /// Makes a sandbox: namespaces, network and the pause container. Returns its id.
    pub(super) fn run_sandbox(&self, config: &PodSandboxConfig) -> Result<String> {
        let request = cri::RunPodSandboxRequest {
            config: Some(config.clone()),
            ..Default::default()
        };
        let mut client = self.client.clone();
        let answer = self.call("RunPodSandbox", async move {
            client.run_pod_sandbox(request).await
        })?;
        Ok(answer.pod_sandbox_id)
    }

    /// The sandbox as the runtime sees it, and what it says of it for people.
    pub(super) fn sandbox(&self, id: &str) -> Result<cri::PodSandboxStatusResponse> {
        let request = cri::PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose: true,
        };
        let mut client = self.client.clone();
        self.call("PodSandboxStatus", async move {
            client.pod_sandbox_status(request).await
        })
    }

    /// The ids of all sandboxes.
    pub(super) fn sandboxes(&self) -> Result<Vec<String>> {
        let mut client = self.client.clone();
        let request = cri::ListPodSandboxRequest::default();
        let answer = self.call("ListPodSandbox", async move {
            client.list_pod_sandbox(request).await
        })?;
        Ok(answer.items.into_iter().map(|it| it.id).collect())
    }

    /// Ends everything in a sandbox, and takes its network away.
    pub(super) fn stop_sandbox(&self, id: &str) -> Result<()> {
        let request = cri::StopPodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        let mut client = self.client.clone();
        self.call("StopPodSandbox", async move {
            client.stop_pod_sandbox(request).await
        })
        .map(drop)
    }

    /// Removes a sandbox that was stopped.
    pub(super) fn remove_sandbox(&self, id: &str) -> Result<()> {
        let request = cri::RemovePodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        let mut client = self.client.clone();
        self.call("RemovePodSandbox", async move {
            client.remove_pod_sandbox(request).await
        })
        .map(drop)
    }

    /// Makes a container in a sandbox and starts it. Returns its id.
    pub(super) fn run_container(
        &self,
        sandbox: &str,
        of: &PodSandboxConfig,
        config: ContainerConfig,
    ) -> Result<String> {
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(of.clone()),
        };
        let mut client = self.client.clone();
        let made = self.call("CreateContainer", async move {
            client.create_container(request).await
        })?;
        let request = cri::StartContainerRequest {
            container_id: made.container_id.clone(),
        };
        let mut client = self.client.clone();
        self.call("StartContainer", async move {
            client.start_container(request).await
        })?;
        Ok(made.container_id)
    }

    /// Changes the limits of a running container, as the kubelet does when a pod is resized in place.
    pub(super) fn limit_container(
        &self,
        id: &str,
        linux: cri::LinuxContainerResources,
    ) -> Result<()> {
        let request = cri::UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(linux),
            ..Default::default()
        };
        let mut client = self.client.clone();
        self.call("UpdateContainerResources", async move {
            client.update_container_resources(request).await
        })
        .map(drop)
    }

    /// Asks a container to end, and ends it after `grace`; 0 ends it at once.
    pub(super) fn stop_container(&self, id: &str, grace: Duration) -> Result<()> {
        let request = cri::StopContainerRequest {
            container_id: id.to_owned(),
            timeout: i64::try_from(grace.as_secs())?,
        };
        let mut client = self.client.clone();
        self.call("StopContainer", async move {
            client.stop_container(request).await
        })
        .map(drop)
    }

    /// Removes a container that was stopped.
    pub(super) fn remove_container(&self, id: &str) -> Result<()> {
        let request = cri::RemoveContainerRequest {
            container_id: id.to_owned(),
        };
        let mut client = self.client.clone();
        self.call("RemoveContainer", async move {
            client.remove_container(request).await
        })
        .map(drop)
    }

    fn call<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T> {
        let answer = self
            .executor
            .block_on(async { tokio::time::timeout(LIMIT, answer).await });
        let answer = answer
            .with_context(|| format!("{what}: no answer of containerd in {} s", LIMIT.as_secs()))?;
        let answer = answer.map_err(|status| {
            anyhow::anyhow!("{what}: {:?}: {}", status.code(), status.message())
        })?;
        Ok(answer.into_inner())
    }
}

/// Starts the program.
fn containerd() -> Result<Process> {
    let mut command = Command::new("containerd");
    command.args(["--config", CONFIG]);
    Process::start("containerd", &mut command, Start::default())
}

/// Debian's settings, and our pause image.
fn config() -> String {
    format!(
        "version = 2\n\
         [plugins.\"io.containerd.grpc.v1.cri\"]\n  sandbox_image = \"{}\"\n\
         [plugins.\"io.containerd.grpc.v1.cri\".cni]\n  \
         bin_dir = \"/usr/lib/cni\"\n  conf_dir = \"{NETWORKS}\"\n",
        image::LAB
    )
}
