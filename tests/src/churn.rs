//! Pods that come and go while segments for them are refused: what each truly suffered, by the kernel's own count in its network
//! namespace while it was there, against what a report says of it when it is gone.
//!
//! Whoever can make pods that suffer can have them judged: the lab makes them as kubelet and runtime leave them ([`LabPods`]),
//! another [`Maker`] may ask a real runtime for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    cgroup::{Layout, Qos},
    cri::{Forgetter, Runtime, RuntimePod},
    netns::Recipe,
    network::Network,
    pod::{self, Pod},
    report::Report,
    snmp::Counters,
};

/// Who a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Kubernetes name.
    pub name: String,
    /// Kubernetes uid.
    pub uid: String,
}

/// A pod for as long as it is there: it goes when it is dropped, with everything that it was made of.
pub trait Sufferer {
    /// Who it is.
    fn identity(&self) -> Identity;

    /// Has so many segments for it refused, and waits until they are.
    fn suffer(&mut self, segments: u64) -> Result<()>;

    /// The kernel's counters of its network namespace, which nobody else has used.
    fn counters(&self) -> Result<Counters>;
}

/// Whoever makes pods.
pub trait Maker: Sync {
    /// Makes one; no two get the same number.
    fn make(&self, number: usize) -> Result<Box<dyn Sufferer>>;
}

/// What happened to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Who it was.
    pub identity: Identity,
    /// Refusals that the kernel counted in its network namespace up to its end.
    pub refusals: u64,
}

/// Pods of one maker.
pub struct Batch<'a> {
    /// Who makes them.
    pub maker: &'a dyn Maker,
    /// How many.
    pub pods: usize,
}

/// Makes and removes all pods, several at a time; each has so many segments refused in between.
pub fn churn(batches: &[Batch<'_>], workers: usize, segments: u64) -> Result<Vec<Truth>> {
    let jobs: Vec<(&dyn Maker, usize)> = batches
        .iter()
        .flat_map(|batch| (0..batch.pods).map(|number| (batch.maker, number)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Ok(Vec::new()));
    let work = || {
        while let Some((maker, number)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let truth = live(*maker, *number, segments);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *done, truth) {
                (Ok(truths), Ok(truth)) => truths.push(truth),
                (Ok(_), Err(error)) => {
                    *done = Err(error.context(format!("pod {number}")));
                    break;
                }
                (Err(_), _) => break,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One pod from its making to its end.
fn live(maker: &dyn Maker, number: usize, segments: u64) -> Result<Truth> {
    let mut pod = maker.make(number)?;
    let birth = pod.counters()?;
    pod.suffer(segments)?;
    let refusals = pod.counters()?.since(&birth)?.refusals();
    ensure!(
        refusals >= segments,
        "the kernel refused {refusals} of {segments} segments"
    );
    Ok(Truth {
        identity: pod.identity(),
        refusals,
    })
}

/// What a report makes of it. All numbers are refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// That there were.
    pub total: u64,
    /// Told of the pod that they were of, by uid, namespace and name.
    pub right: u64,
    /// Told of somebody else.
    pub wrong: u64,
    /// Told of nobody.
    pub unknown: u64,
    /// Pods of which the report knows the name of the container, which a runtime alone tells.
    pub named_by_runtime: usize,
    /// The first few that were told wrongly, in words.
    pub faults: Vec<String>,
}

/// Compares the victims of a report with what is true.
#[must_use]
pub fn judge(report: &Report, truths: &[Truth]) -> Judgement {
    let mut judgement = Judgement::default();
    let mut left: BTreeMap<&str, &Truth> = BTreeMap::new();
    for truth in truths {
        judgement.total += truth.refusals;
        left.insert(&truth.identity.uid, truth);
    }
    let mut seen = BTreeSet::new();
    for victim in report.list("/victims") {
        let owner = &victim["owner"];
        let refusals = ["rcv", "ofo", "send_rcvq"].iter();
        let refusals: u64 = refusals
            .filter_map(|queue| victim["refusals"][queue].as_u64())
            .sum();
        if refusals == 0 {
            continue;
        }
        if matches!(owner["kind"].as_str(), Some("unknown" | "unattributed")) {
            judgement.unknown += refusals;
            continue;
        }
        let truth = owner["k8s.pod.uid"].as_str().and_then(|uid| left.get(uid));
        let truth = truth.filter(|truth| is(owner, &truth.identity));
        let again = truth.is_some_and(|truth| !seen.insert(&truth.identity.uid));
        let right = truth
            .filter(|_| !again)
            .map_or(0, |truth| refusals.min(truth.refusals));
        judgement.right += right;
        judgement.named_by_runtime += usize::from(owner["container.name"].is_string());
        if refusals > right {
            judgement.wrong += refusals - right;
            if judgement.faults.len() < 5 {
                judgement.faults.push(format!(
                    "{refusals} of {owner}, true are {:?}",
                    truth.map(|truth| truth.refusals)
                ));
            }
        }
    }
    judgement
}

fn is(owner: &Value, identity: &Identity) -> bool {
    owner["k8s.namespace.name"] == identity.namespace.as_str()
        && owner["k8s.pod.name"] == identity.name.as_str()
}

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn truth(name: &str, uid: &str, refusals: u64) -> Truth {
        Truth {
            identity: Identity {
                namespace: "churn".into(),
                name: name.into(),
                uid: uid.into(),
            },
            refusals,
        }
    }

    fn victim(kind: &str, name: &str, uid: &str, ofo: u64) -> Value {
        json!({
            "owner": {"kind": kind, "k8s.namespace.name": "churn", "k8s.pod.name": name, "k8s.pod.uid": uid},
            "refusals": {"rcv": 0, "ofo": ofo, "send_rcvq": null},
        })
    }

    fn judged(victims: &[Value]) -> (u64, u64, u64) {
        let report = json!({"schema": "tcpress.report/v1", "victims": victims});
        let truths = [truth("web-0", "a", 100), truth("web-0", "b", 50)];
        let judgement = judge(&Report::new(report).unwrap(), &truths);
        assert_eq!(judgement.total, 150);
        assert_eq!(judgement.faults.is_empty(), judgement.wrong == 0);
        (judgement.right, judgement.wrong, judgement.unknown)
    }

    #[test]
    fn right_is_who_it_was_by_uid_and_by_name() {
        let all = [
            victim("pod", "web-0", "a", 100),
            victim("pod", "web-0", "b", 50),
        ];
        assert_eq!(judged(&all), (150, 0, 0));
        let part = [
            victim("pod", "web-0", "a", 90),
            victim("unknown", "", "", 60),
        ];
        assert_eq!(judged(&part), (90, 0, 60));
    }

    #[test]
    fn whatever_else_is_told_of_somebody_is_wrong() {
        assert_eq!(judged(&[victim("pod", "other", "a", 100)]), (0, 100, 0));
        assert_eq!(judged(&[victim("pod", "web-0", "c", 7)]), (0, 7, 0));
        assert_eq!(judged(&[victim("cgroup", "", "", 7)]), (0, 7, 0));
        // More than there were, in one line or in two.
        assert_eq!(judged(&[victim("pod", "web-0", "b", 51)]), (50, 1, 0));
        let twice = [
            victim("pod", "web-0", "b", 30),
            victim("pod", "web-0", "b", 30),
        ];
        assert_eq!(judged(&twice), (30, 30, 0));
    }
}
