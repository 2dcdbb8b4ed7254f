//! The server: whatever pods it is given, over the real protocol.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use anyhow::{Context, Result};
use tokio::{net::UnixListener, sync::oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use tracer_cri::{
    tonic::{self, Request, Response, Status, transport::Server},
    v1::{
        self,
        image_service_server::{ImageService, ImageServiceServer},
        runtime_service_server::{RuntimeService, RuntimeServiceServer},
    },
};

use super::RuntimePod;

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    #[default]
    Honest,
    /// It says its version, and answers nothing else, ever.
    Mute,
    /// Each list fails.
    Failing,
    /// Lists are padded to so many MiB by an annotation.
    Enormous(usize),
    /// It knows no version 1 of the interface.
    Old,
}

#[derive(Debug, Default)]
struct State {
    pods: BTreeMap<String, RuntimePod>,
    manner: Manner,
    calls: BTreeMap<&'static str, u64>,
}

/// A running server; it ends, and its socket goes, when this is dropped.
#[derive(Debug)]
pub struct Runtime {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts a server that knows no pod yet.
    pub fn start(socket: &Path, manner: Manner) -> Result<Self> {
        let state = State {
            manner,
            ..State::default()
        };
        let mut runtime = Self {
            socket: socket.to_owned(),
            state: Arc::new(Mutex::new(state)),
            stop: None,
            thread: None,
        };
        runtime.serve()?;
        Ok(runtime)
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Takes a pod, or another version of it.
    pub fn add(&self, pod: RuntimePod) {
        self.state().pods.insert(pod.sandbox.clone(), pod);
    }

    /// Forgets a pod by the id of its sandbox.
    pub fn remove(&self, sandbox: &str) {
        self.state().pods.remove(sandbox);
    }

    /// Something that forgets a pod when it is dropped.
    #[must_use]
    pub fn forgetter(&self, sandbox: &str) -> Forgetter {
        Forgetter {
            state: Arc::clone(&self.state),
            sandbox: sandbox.to_owned(),
        }
    }

    /// Changes its manner, from the next call on.
    pub fn set(&self, manner: Manner) {
        self.state().manner = manner;
    }

    /// How often a call was made, by its name in the interface file.
    #[must_use]
    pub fn calls(&self, name: &str) -> u64 {
        self.state().calls.get(name).copied().unwrap_or(0)
    }

    /// Ends it and starts it anew: connections break, the socket is another one, the pods are the same.
    pub fn restart(&mut self) -> Result<()> {
        self.end();
        self.serve()
    }

    /// Ends it for good, and leaves no socket.
    pub fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panics only where a handler does, and a test sees that by the answers.
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&mut self) -> Result<()> {
        if let Some(folder) = self.socket.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let _ = std::fs::remove_file(&self.socket);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&self.socket)
                .with_context(|| format!("cannot listen at {}", self.socket.display()))?
        };
        let handler = Handler(Arc::clone(&self.state));
        let (stop, stopped) = oneshot::channel();
        let old = self.state().manner == Manner::Old;
        let work = async move {
            let mut server = Server::builder();
            let incoming = UnixListenerStream::new(listener);
            let images = ImageServiceServer::new(handler.clone());
            let mut router = server.add_service(images);
            if !old {
                router = router.add_service(RuntimeServiceServer::new(handler));
            }
            // Connections that still talk are cut, as by a process that ends.
            tokio::select! {
                _ = router.serve_with_incoming(incoming) => {}
                _ = stopped => {}
            }
        };
        let thread = std::thread::Builder::new().name("runtime".into());
        self.thread = Some(thread.spawn(move || runtime.block_on(work))?);
        self.stop = Some(stop);
        Ok(())
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.end();
    }
}

/// See [`Runtime::forgetter`].
#[derive(Debug)]
pub struct Forgetter {
    state: Arc<Mutex<State>>,
    sandbox: String,
}

impl Drop for Forgetter {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pods.remove(&self.sandbox);
    }
}

#[derive(Clone)]
struct Handler(Arc<Mutex<State>>);

impl Handler {
    /// Notes a call; what it is to be answered from, unless it never is.
    async fn called(&self, name: &'static str) -> Result<(Vec<RuntimePod>, Manner), Status> {
        let (pods, manner) = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *state.calls.entry(name).or_default() += 1;
            (state.pods.values().cloned().collect(), state.manner)
        };
        match manner {
            Manner::Mute => std::future::pending().await,
            Manner::Failing => Err(Status::invalid_argument("no list today")),
            _ => Ok((pods, manner)),
        }
    }
}

/// Whether labels fulfil a selector.
fn selected(labels: &HashMap<String, String>, selector: &HashMap<String, String>) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

#[tonic::async_trait]
impl RuntimeService for Handler {
    async fn version(
        &self,
        _: Request<v1::VersionRequest>,
    ) -> Result<Response<v1::VersionResponse>, Status> {
        Ok(Response::new(v1::VersionResponse {
            version: "0.1.0".into(),
            runtime_name: "lab".into(),
            runtime_version: "1.0".into(),
            runtime_api_version: "v1".into(),
        }))
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<v1::ListPodSandboxRequest>,
    ) -> Result<Response<v1::ListPodSandboxResponse>, Status> {
        let (pods, manner) = self.called("ListPodSandbox").await?;
        let filter = request.into_inner().filter.unwrap_or_default();
        let mut items: Vec<v1::PodSandbox> = pods
            .iter()
            .map(RuntimePod::sandbox)
            .filter(|it| filter.id.is_empty() || it.id == filter.id)
            .filter(|it| selected(&it.labels, &filter.label_selector))
            .collect();
        if let (Manner::Enormous(megabytes), Some(first)) = (manner, items.first_mut()) {
            let padding = "x".repeat(megabytes << 20);
            first.annotations.insert("padding".into(), padding);
        }
        Ok(Response::new(v1::ListPodSandboxResponse { items }))
    }

    async fn list_containers(
        &self,
        request: Request<v1::ListContainersRequest>,
    ) -> Result<Response<v1::ListContainersResponse>, Status> {
        let (pods, _) = self.called("ListContainers").await?;
        let filter = request.into_inner().filter.unwrap_or_default();
        let containers = pods
            .iter()
            .flat_map(RuntimePod::containers)
            .filter(|it| filter.id.is_empty() || it.id == filter.id)
            .filter(|it| selected(&it.labels, &filter.label_selector))
            .collect();
        Ok(Response::new(v1::ListContainersResponse { containers }))
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<v1::PodSandboxStatusRequest>,
    ) -> Result<Response<v1::PodSandboxStatusResponse>, Status> {
        let (pods, _) = self.called("PodSandboxStatus").await?;
        let request = request.into_inner();
        let pod = pods
            .iter()
            .find(|pod| pod.sandbox == request.pod_sandbox_id);
        let pod = pod.ok_or_else(|| Status::not_found("no such sandbox"))?;
        Ok(Response::new(v1::PodSandboxStatusResponse {
            info: if request.verbose {
                pod.info()
            } else {
                HashMap::new()
            },
            ..v1::PodSandboxStatusResponse::default()
        }))
    }
}

#[tonic::async_trait]
impl ImageService for Handler {
    async fn list_images(
        &self,
        _: Request<v1::ListImagesRequest>,
    ) -> Result<Response<v1::ListImagesResponse>, Status> {
        let (pods, _) = self.called("ListImages").await?;
        let images = pods.iter().flat_map(RuntimePod::images).collect();
        Ok(Response::new(v1::ListImagesResponse { images }))
    }
}
