//! What container runtimes have told, put together: by UID of a pod and by id of a container. Pure. What was said once is
//! kept for those that are gone; of two things that contradict each other neither is believed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::message::{Listing, SeenContainer, SeenPod, SeenStatus};
use crate::attribute::{
    kept::Kept,
    owner::{ContainerFacts, PodFacts},
    pod_logs::{self, PodName},
};

/// Pods that are kept, those of the dead among them.
pub const PODS_MAX: usize = 20_000;
/// Containers and sandboxes that are kept.
pub const CONTAINERS_MAX: usize = 60_000;

/// A pod as a runtime tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its UID, as the runtime spells it.
    pub uid: String,
    /// Its names.
    pub name: PodName,
    /// What else is known.
    pub facts: Arc<PodFacts>,
    /// Whether somebody said something else of the same UID.
    doubted: bool,
}

/// A container as a runtime tells of it; a sandbox is one without facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// UID of its pod, as tables of this room have it.
    pub uid: String,
    /// What else is known.
    pub facts: Option<Arc<ContainerFacts>>,
    doubted: bool,
}

/// Pods and containers.
#[derive(Clone, Debug)]
pub struct CriTable {
    pods: Kept<String, Pod>,
    containers: Kept<String, Container>,
    /// Sandboxes whose handler says nothing of what is behind it, and whether that is still to be asked.
    open: HashMap<String, bool>,
    contradictions: u64,
    /// In words: what could not be learnt since everything was.
    pub gaps: Vec<String>,
    /// Whether somebody has named the runtime to ask, so that its silence matters even where no pods are.
    pub required: bool,
    /// In words: who answered last, as `containerd 1.7.24 at /run/containerd/containerd.sock`.
    pub runtimes: Vec<String>,
}

impl Default for CriTable {
    fn default() -> Self {
        Self {
            pods: Kept::with_max(PODS_MAX),
            containers: Kept::with_max(CONTAINERS_MAX),
            open: HashMap::new(),
            contradictions: 0,
            gaps: Vec::new(),
            required: false,
            runtimes: Vec::new(),
        }
    }
}

impl CriTable {
    /// Takes a listing. `whole`: it lists everything that there is, so that what it lacks is gone.
    pub fn learn(&mut self, listing: Listing, whole: bool) {
        if whole {
            let living: HashSet<String> = listing.pods.iter().flat_map(keys).collect();
            self.pods.retain(|uid| living.contains(uid));
            let sandboxes = listing.pods.iter().map(|pod| pod.sandbox.as_str());
            let containers = listing.containers.iter().map(|it| it.id.as_str());
            let living: HashSet<&str> = sandboxes.chain(containers).collect();
            self.containers.retain(|id| living.contains(id.as_str()));
            self.open.retain(|id, _| living.contains(id.as_str()));
        }
        let mut pods = listing.pods;
        // Of several sandboxes of one pod, the one that is ready has the last word.
        pods.sort_by_key(|pod| pod.ready);
        pods.into_iter().for_each(|pod| self.learn_pod(pod));
        let containers = listing.containers.into_iter();
        containers.for_each(|container| self.learn_container(container));
    }

    fn learn_pod(&mut self, seen: SeenPod) {
        if seen.handler_open && self.open.len() < CONTAINERS_MAX {
            self.open.entry(seen.sandbox.clone()).or_insert(true);
        }
        let keys = keys(&seen);
        let own = pod_logs::key(&seen.uid);
        self.learn_id(seen.sandbox, own.clone(), None);
        let facts = Arc::new(seen.facts);
        for key in keys {
            let known = self.pods.get(&key);
            let other = known.is_some_and(|known| known.name != seen.name);
            let doubted = other || known.is_some_and(|known| known.doubted);
            // What a status has told of a sandbox is not in the lists.
            let sandbox = known.and_then(|known| known.facts.sandbox);
            let facts = match facts.sandbox {
                None if sandbox.is_some() => Arc::new(PodFacts {
                    sandbox,
                    ..PodFacts::clone(&facts)
                }),
                _ => facts.clone(),
            };
            self.contradictions += u64::from(other);
            let pod = Pod {
                uid: if key == own {
                    seen.uid.clone()
                } else {
                    key.clone()
                },
                name: seen.name.clone(),
                facts,
                doubted,
            };
            self.pods.learn(key, pod);
        }
    }

    fn learn_container(&mut self, seen: SeenContainer) {
        let Some(sandbox) = self.containers.get(&seen.sandbox) else {
            // Its sandbox is newer than the list of sandboxes, or left out there.
            return;
        };
        let uid = sandbox.uid.clone();
        if seen.uid.is_some_and(|label| pod_logs::key(&label) != uid) {
            self.contradictions += 1;
            return;
        }
        self.learn_id(seen.id, uid, Some(seen.facts));
    }

    fn learn_id(&mut self, id: String, uid: String, facts: Option<ContainerFacts>) {
        let known = self.containers.get(&id);
        let other =
            known.is_some_and(|known| known.uid != uid || known.facts.is_some() != facts.is_some());
        let doubted = other || known.is_some_and(|known| known.doubted);
        self.contradictions += u64::from(other);
        let container = Container {
            uid,
            facts: facts.map(Arc::new),
            doubted,
        };
        self.containers.learn(id, container);
    }

    /// Takes what a status tells of what is behind a sandbox.
    pub fn learn_status(&mut self, status: &SeenStatus) {
        if let Some(open) = self.open.get_mut(&status.sandbox) {
            *open = false;
        }
        let Some((kind, uid)) = status.kind.zip(self.uid_of(&status.sandbox)) else {
            return;
        };
        let uid = uid.to_owned();
        if let Some(pod) = self.pods.get(&uid) {
            let facts = PodFacts {
                sandbox: Some(kind),
                ..PodFacts::clone(&pod.facts)
            };
            let pod = Pod {
                facts: Arc::new(facts),
                ..pod.clone()
            };
            self.pods.learn(uid, pod);
        }
    }

    /// Sandboxes of which the lists do not say what is behind their handler, at most so many.
    #[must_use]
    pub fn open(&self, most: usize) -> Vec<String> {
        let open = self.open.iter().filter(|(_, open)| **open);
        open.map(|(id, _)| id.clone()).take(most).collect()
    }

    /// Every sandbox, with the UID of its pod as tables of this room have it.
    pub fn sandboxes(&self) -> impl Iterator<Item = (&str, &str)> {
        let sandboxes = self
            .containers
            .iter()
            .filter(|(_, it)| it.facts.is_none() && !it.doubted);
        sandboxes.map(|(id, it)| (id.as_str(), it.uid.as_str()))
    }

    /// The pod with a UID.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&Pod> {
        self.pods
            .get(&pod_logs::key(uid))
            .filter(|pod| !pod.doubted)
    }

    /// A container, or a sandbox.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.containers
            .get(id)
            .filter(|container| !container.doubted)
    }

    /// UID of the pod that a container or a sandbox belongs to, as tables of this room have it.
    #[must_use]
    pub fn uid_of(&self, id: &str) -> Option<&str> {
        Some(&self.container(id)?.uid)
    }

    /// Whether nothing was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.containers.is_empty()
    }

    /// Every pod that lives.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        let pods = self.pods.living().map(|(_, pod)| pod);
        pods.filter(|pod| !pod.doubted)
    }

    /// In words: what it could not take or does not believe.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.contradictions > 0 {
            faults.push(format!(
                "the container runtime contradicted itself {} times on whose a UID or an id is: these names are not believed",
                self.contradictions
            ));
        }
        let refused = self.pods.refused() + self.containers.refused();
        if refused > 0 {
            faults.push(format!(
                "{refused} pods and containers found no room among those of the container runtime"
            ));
        }
        faults
    }
}

/// The UIDs by which a pod may be met, as tables of this room have them.
fn keys(pod: &SeenPod) -> Vec<String> {
    let own = pod_logs::key(&pod.uid);
    let mut keys = vec![own];
    for alias in &pod.aliases {
        let key = pod_logs::key(alias);
        if !key.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
