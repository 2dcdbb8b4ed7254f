//! Asks one container runtime: the calls, each within what is left of the time.

use std::{
    collections::HashMap,
    future::Future,
    path::{Path, PathBuf},
};

use tokio::time::{Instant, timeout_at};
use tracer_cri::{
    connect,
    tonic::{Response, Status, transport::Channel},
    v1::{
        self, image_service_client::ImageServiceClient,
        runtime_service_client::RuntimeServiceClient,
    },
};

use super::{
    failure::{Failure, WORDS_MAX, late, short, within},
    message::{self, Hints, Listing, SeenStatus},
};

/// Bytes of one answer; what the kubelet takes too (`maxMsgSize`).
const ANSWER_MAX: usize = 16 << 20;

/// What one runtime told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The runtime's name and version.
    pub(super) name: Option<String>,
    /// What it listed.
    pub(super) listing: Listing,
    /// Statuses that it gave.
    pub(super) statuses: Vec<SeenStatus>,
    /// In words, each the end of a sentence that begins with its socket: what it did not tell.
    pub(super) gaps: Vec<String>,
}

/// One runtime, with the connection that is kept between two askings.
#[derive(Debug)]
pub(super) struct Runtime {
    path: PathBuf,
    channel: Option<Channel>,
    /// Names of images by their ids.
    images: HashMap<String, String>,
}

impl Runtime {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            channel: None,
            images: HashMap::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lists everything, or the pods with these UIDs.
    pub(super) async fn list(
        &mut self,
        uids: Option<&[String]>,
        hints: &Hints,
        deadline: Instant,
    ) -> Told {
        let mut told = Told::default();
        match self.version(deadline).await {
            Ok(name) => told.name = Some(name),
            Err(Failure::Unknown) => {
                told.gaps.push(
                    "it does not serve version 1 of the Container Runtime Interface (containerd 1.5 and older have \
                     v1alpha2 only; or its CRI plugin is disabled)"
                        .to_owned(),
                );
                return told;
            }
            Err(failure) => {
                told.gaps.push(failure.words());
                return told;
            }
        }
        let selectors: Vec<HashMap<String, String>> = match uids {
            None => vec![HashMap::new()],
            Some(uids) => uids
                .iter()
                .map(|uid| HashMap::from([("io.kubernetes.pod.uid".to_owned(), uid.clone())]))
                .collect(),
        };
        for selector in selectors {
            // Containers first: so the sandbox of each is among those that are listed after.
            match self.containers(&selector, deadline).await {
                Ok(items) => told.listing.add_containers(items),
                Err(failure) => told.gaps.push(format!("containers: {}", failure.words())),
            }
            match self.sandboxes(&selector, deadline).await {
                Ok(items) => told.listing.add_sandboxes(items, hints),
                Err(failure) => told.gaps.push(format!("pods: {}", failure.words())),
            }
            if !told.gaps.is_empty() {
                break;
            }
        }
        self.name_images(&mut told, deadline).await;
        told
    }

    /// The verbose statuses of sandboxes.
    pub(super) async fn statuses(&mut self, sandboxes: &[String], deadline: Instant) -> Told {
        let mut told = Told::default();
        for sandbox in sandboxes {
            let request = v1::PodSandboxStatusRequest {
                pod_sandbox_id: sandbox.clone(),
                verbose: true,
            };
            let answer = self
                .call(deadline, |mut client| {
                    let request = request.clone();
                    async move { client.pod_sandbox_status(request).await }
                })
                .await;
            match answer {
                Ok(answer) => told.statuses.push(message::status(sandbox, &answer.info)),
                // Gone meanwhile, or of another runtime.
                Err(Failure::Other(_)) => {}
                Err(failure) => {
                    told.gaps
                        .push(format!("the status of pods: {}", failure.words()));
                    break;
                }
            }
        }
        told
    }

    async fn version(&mut self, deadline: Instant) -> Result<String, Failure> {
        let request = v1::VersionRequest {
            version: "v1".to_owned(),
        };
        let answer = self
            .call(deadline, |mut client| {
                let request = request.clone();
                async move { client.version(request).await }
            })
            .await?;
        let words = format!("{} {}", answer.runtime_name, answer.runtime_version);
        Ok(words.chars().take(WORDS_MAX).collect())
    }

    async fn sandboxes(
        &mut self,
        selector: &HashMap<String, String>,
        deadline: Instant,
    ) -> Result<Vec<v1::PodSandbox>, Failure> {
        let filter = v1::PodSandboxFilter {
            label_selector: selector.clone(),
            ..v1::PodSandboxFilter::default()
        };
        let answer = self
            .call(deadline, |mut client| {
                let filter = Some(filter.clone());
                async move {
                    client
                        .list_pod_sandbox(v1::ListPodSandboxRequest { filter })
                        .await
                }
            })
            .await?;
        Ok(answer.items)
    }

    async fn containers(
        &mut self,
        selector: &HashMap<String, String>,
        deadline: Instant,
    ) -> Result<Vec<v1::Container>, Failure> {
        let filter = v1::ContainerFilter {
            label_selector: selector.clone(),
            ..v1::ContainerFilter::default()
        };
        let answer = self
            .call(deadline, |mut client| {
                let filter = Some(filter.clone());
                async move {
                    client
                        .list_containers(v1::ListContainersRequest { filter })
                        .await
                }
            })
            .await?;
        Ok(answer.containers)
    }

    /// Gives images their names where only their ids were listed. Without them the ids stay.
    async fn name_images(&mut self, told: &mut Told, deadline: Instant) {
        let images = || {
            told.listing
                .containers
                .iter()
                .filter_map(|it| it.facts.image.as_deref())
        };
        let mut nameless = images().filter(|image| message::is_image_id(image));
        if nameless.any(|image| !self.images.contains_key(image))
            && let Ok(images) = self.list_images(deadline).await
        {
            self.images = message::image_names(images);
        }
        for container in &mut told.listing.containers {
            let image = container.facts.image.as_ref();
            if let Some(name) = image.and_then(|image| self.images.get(image)) {
                container.facts.image = Some(name.clone());
            }
        }
    }

    async fn list_images(&mut self, deadline: Instant) -> Result<Vec<v1::Image>, Failure> {
        let channel = self.channel(deadline).await?;
        let mut client = ImageServiceClient::new(channel).max_decoding_message_size(ANSWER_MAX);
        let answer = client.list_images(v1::ListImagesRequest::default());
        Ok(within(deadline, answer).await?.images)
    }

    /// One call, and once more where the connection turned out to be gone.
    async fn call<T, F>(
        &mut self,
        deadline: Instant,
        call: impl Fn(RuntimeServiceClient<Channel>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let kept = self.channel.is_some();
        match self.call_once(deadline, &call).await {
            Err(Failure::Connection(_)) if kept => self.call_once(deadline, &call).await,
            answer => answer,
        }
    }

    async fn call_once<T, F>(
        &mut self,
        deadline: Instant,
        call: impl Fn(RuntimeServiceClient<Channel>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = self.channel(deadline).await?;
        let client = RuntimeServiceClient::new(channel).max_decoding_message_size(ANSWER_MAX);
        let answer = within(deadline, call(client)).await;
        if matches!(answer, Err(Failure::Connection(_))) {
            self.channel = None;
        }
        answer
    }

    async fn channel(&mut self, deadline: Instant) -> Result<Channel, Failure> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        match timeout_at(deadline, connect(&self.path)).await {
            Ok(Ok(channel)) => Ok(self.channel.insert(channel).clone()),
            Ok(Err(error)) => Err(Failure::Connection(short(&format!(
                "{:#}",
                anyhow::Error::from(error)
            )))),
            Err(_) => Err(late()),
        }
    }
}
