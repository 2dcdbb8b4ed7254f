//! Pods of the lab that come and go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Identity, Maker, Sufferer};
use crate::{
    cgroup::{Layout, Qos},
    cri::{Forgetter, Runtime, RuntimePod},
    netns::Recipe,
    network::Network,
    pod::{self, Pod},
    snmp::Counters,
};

/// Pods as kubelet and runtime leave them on a node, by either cgroup driver and of each QoS class: of Deployments, one of a
/// StatefulSet that comes again and again under the same name, static ones. A runtime at a socket tells of them.
pub struct LabPods<'a> {
    /// Who tells of them.
    pub runtime: &'a Runtime,
    /// Without a cable: nothing needs to go from one to the other.
    network: Network,
}

impl<'a> LabPods<'a> {
    /// A maker.
    #[must_use]
    pub const fn new(runtime: &'a Runtime) -> Self {
        Self {
            runtime,
            network: Network::none(),
        }
    }

    /// The pod with a number, and what its runtime tells of it.
    fn pod(&self, number: usize) -> Result<(Pod, RuntimePod)> {
        let qos = [Qos::Burstable, Qos::Guaranteed, Qos::BestEffort][number % 3];
        let layout = Layout {
            cgroupfs: number % 2 == 1,
            qos,
        };
        let uid = pod::uuid()?;
        let (namespace, name, uid) = match number % 5 {
            0 => (
                "kube-system",
                format!("agent-{number}-node"),
                uid.replace('-', ""),
            ),
            1 => ("churn", "web-0".to_owned(), uid),
            _ => ("churn", format!("api-7d4b9c6f58-{number:05}"), uid),
        };
        let pod = Pod::laid_out(namespace, &name, uid, layout)?.plugged(&self.network)?;
        let told = RuntimePod::of(&pod);
        let told = match number % 5 {
            0 => told
                .annotation("kubernetes.io/config.hash", &pod.uid)
                .annotation("kubernetes.io/config.source", "file"),
            1 => told.label("statefulset.kubernetes.io/pod-name", "web-0"),
            _ => told.label("pod-template-hash", "7d4b9c6f58"),
        };
        Ok((pod, told.label("team", "churn")))
    }
}

impl Maker for LabPods<'_> {
    fn make(&self, number: usize) -> Result<Box<dyn Sufferer>> {
        let (pod, told) = self.pod(number)?;
        let sandbox = told.sandbox.clone();
        self.runtime.add(told);
        let mut sufferer = LabPod {
            recipes: Vec::new(),
            pod,
            _told: self.runtime.forgetter(&sandbox),
        };
        sufferer.recipes.push(
            sufferer.pod.recipe(
                "slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 20000",
            )?,
        );
        Ok(Box::new(sufferer))
    }
}

/// A pod of [`LabPods`]. Its fields go in this order: processes, cgroups and the rest, and last the runtime forgets it.
struct LabPod {
    recipes: Vec<Recipe>,
    pod: Pod,
    _told: Forgetter,
}

/// How long refusals may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Sufferer for LabPod {
    fn identity(&self) -> Identity {
        Identity {
            namespace: self.pod.namespace.clone(),
            name: self.pod.name.clone(),
            uid: self.pod.uid.clone(),
        }
    }

    fn suffer(&mut self, segments: u64) -> Result<()> {
        let before = self.counters()?;
        let client = self.pod.outside(&format!(
            "tun --to 10.99.0.1:7000 --do in-order:20x1000 --do await --do repeat:{segments}x1"
        ))?;
        client.done(PATIENCE).context("the flood did not end")?;
        self.recipes.push(client);
        let end = Instant::now() + PATIENCE;
        while self.counters()?.since(&before)?.refusals() < segments && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn counters(&self) -> Result<Counters> {
        self.pod.counters()
    }
}
