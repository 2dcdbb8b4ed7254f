//! Pods that come and go by the hundred, some of them containerd's: each refusal is told of the pod that it was of.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::node::{Node, outside};
use super::pod::{Pod, Spec};
use super::runtime::{Runtime, SOCKET};
use super::truth::Counted;
use crate::churn::{Batch, Identity, Maker, Sufferer};
use crate::netns::Recipe;
use crate::scenario::churn::play;
use crate::snmp::Counters;

/// Pods of containerd.
const REAL: usize = 10;
/// Pods as kubelet and runtime leave them: a real one takes seconds to come and to go.
const MADE: usize = 290;
/// How long refusals may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Numbers of networks outside that scenarios do not use.
const NETWORKS: usize = 100;

/// 300 pods, and at least 30,000 refusals.
pub(super) fn churn(_: &Node) -> Result<()> {
    let real = Batch {
        maker: &RealPods,
        pods: REAL,
    };
    play(MADE, &[real], &format!("--cri-socket {SOCKET}"))
}

/// Pods made over CRI.
pub(super) struct RealPods;

impl Maker for RealPods {
    fn make(&self, number: usize) -> Result<Box<dyn Sufferer>> {
        Ok(Box::new(RealPod {
            clients: Vec::new(),
            // Each speaks for itself: they are made at the same time.
            pod: slow(
                &Rc::new(Runtime::connect()?),
                &format!("churn/real-{number}"),
            )?,
            number,
        }))
    }
}

/// A pod of containerd with a slow reader.
pub(super) fn slow(runtime: &Rc<Runtime>, name: &str) -> Result<Pod> {
    let pod = Pod::new(runtime, Spec::new(name).label("team", "churn"))?;
    pod.recipe(
        "app",
        "slow-reader --listen 0.0.0.0:7000 --shrink-to 2048 --shrink-after 20000",
    )?;
    Ok(pod)
}

/// One of them. Its clients go before it does.
struct RealPod {
    clients: Vec<Recipe>,
    pod: Pod,
    number: usize,
}

impl Sufferer for RealPod {
    fn identity(&self) -> Identity {
        let (namespace, name) = self.pod.names();
        Identity {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: self.pod.uid().to_owned(),
        }
    }

    fn suffer(&mut self, segments: u64) -> Result<()> {
        let client = outside(
            NETWORKS + self.number,
            self.pod.endpoint(7000),
            &format!("--do in-order:20x1000 --do await --do repeat:{segments}x1"),
        )?;
        client.done(PATIENCE).context("the flood did not end")?;
        self.clients.push(client);
        Ok(())
    }

    fn counters(&self) -> Result<Counters> {
        self.pod.counters()
    }
}
