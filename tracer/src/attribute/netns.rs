//! Which pod a network namespace is of: the last resort, where a socket's cgroup and its process tell nothing. Pure.
//!
//! A namespace is of a pod when processes of just one pod are in it and none of a container outside pods (such as a node
//! within a container, where pods on that node's network and the node itself share one). That of the node is nobody's.
//! Numbers of namespaces are given again soon, so a number alone says nothing where the namespace with it may have been another
//! one: then the cookie must agree, and without one only a namespace that was there all the time is told.

use std::collections::HashMap;

use super::{
    cgroup_path::{self, PathFacts, Qos},
    pod_logs,
};

/// Namespaces that are kept.
const NAMESPACES_MAX: usize = 20_000;
/// Namespaces that had one number, one after the other, and are kept.
const LIVES_MAX: usize = 64;

/// A pod, as found by its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// UID of the pod.
    pub uid: String,
    /// QoS class, where a path says it.
    pub qos: Option<Qos>,
    /// Path of the pod's cgroup.
    pub path: Option<String>,
}

/// A namespace as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Inode number.
    pub inum: u32,
    /// Cookie, where it is known.
    pub cookie: Option<u64>,
    /// Whose it is; `None` where nobody's, or where that is not known.
    pub resident: Option<Resident>,
}

/// One namespace, from when it was first listed to when it was last.
#[derive(Clone, Debug)]
struct Life {
    cookie: Option<u64>,
    resident: Option<Resident>,
    /// Two pods were found in it.
    disputed: bool,
    first: u64,
    last: u64,
}

/// Namespaces by number.
#[derive(Clone, Debug, Default)]
pub struct NetnsTable {
    by_inum: HashMap<u32, Vec<Life>>,
    /// How many times the namespaces were listed.
    listings: u64,
}

impl NetnsTable {
    /// Takes a listing of all namespaces.
    pub fn learn(&mut self, listing: Vec<Seen>) {
        self.listings += 1;
        let now = self.listings;
        let room = NAMESPACES_MAX.saturating_sub(listing.len());
        if self.by_inum.len() > room {
            self.by_inum
                .retain(|_, lives| lives.last().is_some_and(|life| life.last + 1 >= now));
        }
        for seen in listing {
            if self.by_inum.len() >= NAMESPACES_MAX && !self.by_inum.contains_key(&seen.inum) {
                continue;
            }
            let lives = self.by_inum.entry(seen.inum).or_default();
            match lives.last_mut().filter(|life| life.is(&seen, now)) {
                Some(life) => life.again(seen, now),
                None => {
                    if lives.len() >= LIVES_MAX {
                        lives.remove(0);
                    }
                    lives.push(Life {
                        cookie: seen.cookie,
                        resident: seen.resident,
                        disputed: false,
                        first: now,
                        last: now,
                    });
                }
            }
        }
    }

    /// Takes somebody's word on whose a namespace of the last listing is, if nothing is known of it.
    pub fn claim(&mut self, seen: Seen) {
        let now = self.listings;
        let life = self
            .by_inum
            .get_mut(&seen.inum)
            .and_then(|lives| lives.last_mut());
        let life = life.filter(|life| life.last == now && life.cookie == seen.cookie);
        if let Some(life) = life.filter(|life| life.resident.is_none() && !life.disputed) {
            life.resident = seen.resident;
        }
    }

    /// Whether some namespace of the last listing is a pod's, given its UID in any spelling.
    #[must_use]
    pub fn houses(&self, uid: &str) -> bool {
        let uid = pod_logs::key(uid);
        let mut last = self.by_inum.values().filter_map(|lives| lives.last());
        last.any(|life| {
            let resident = life
                .resident
                .as_ref()
                .filter(|_| life.last == self.listings);
            resident.is_some_and(|resident| pod_logs::key(&resident.uid) == uid)
        })
    }

    /// The pod whose namespace it is, for a socket of the first or the last listing's time.
    #[must_use]
    pub fn of_scan(&self, inum: u32) -> Option<&Resident> {
        let [life] = self.by_inum.get(&inum)?.as_slice() else {
            return None;
        };
        let then = life.first == 1 || life.last == self.listings;
        life.resident.as_ref().filter(|_| then)
    }

    /// The pod whose namespace it is, for what happened at any time. `cookie`: 0 where none is known.
    #[must_use]
    pub fn get(&self, inum: u32, cookie: u64) -> Option<&Resident> {
        let lives = self.by_inum.get(&inum)?;
        let mut by_cookie = lives
            .iter()
            .filter(|life| cookie != 0 && life.cookie == Some(cookie));
        let all_the_time = |life: &&Life| life.first == 1 && life.last == self.listings;
        let only = match lives.as_slice() {
            [life] if cookie == 0 || life.cookie.is_none() => Some(life),
            _ => None,
        };
        by_cookie
            .next_back()
            .or_else(|| only.filter(all_the_time))?
            .resident
            .as_ref()
    }

    /// Whether it was found out already whose a namespace is.
    #[must_use]
    pub fn knows(&self, inum: u32, cookie: Option<u64>) -> bool {
        let life = self.by_inum.get(&inum).and_then(|lives| lives.last());
        life.is_some_and(|life| {
            let same = life.cookie == cookie && (cookie.is_some() || life.last == self.listings);
            same && (life.resident.is_some() || life.disputed)
        })
    }
}

impl Life {
    /// Whether this is the namespace that was seen now.
    fn is(&self, seen: &Seen, now: u64) -> bool {
        match (self.cookie, seen.cookie) {
            (Some(own), Some(cookie)) => own == cookie,
            // Without cookies, what was there just before is taken for the same, unless another pod is in it now.
            (None, None) => {
                let pods = (&self.resident, &seen.resident);
                let same = match pods {
                    (Some(own), Some(other)) => own.uid == other.uid,
                    (None, Some(_)) => false,
                    (_, None) => true,
                };
                same && self.last + 1 >= now
            }
            _ => false,
        }
    }

    fn again(&mut self, seen: Seen, now: u64) {
        self.last = now;
        match (&self.resident, seen.resident) {
            (Some(own), Some(other)) if own.uid != other.uid => {
                self.disputed = true;
                self.resident = None;
            }
            (None, found) if !self.disputed => self.resident = found,
            _ => {}
        }
    }
}

/// Whose a namespace is, by the cgroup paths of processes in it, several for each process where it is in several hierarchies.
#[must_use]
pub fn resident(processes: &[Vec<&str>]) -> Option<Resident> {
    let mut found: Option<Resident> = None;
    for paths in processes {
        let facts = paths.iter().map(|path| (*path, cgroup_path::parse(path)));
        let mut telling: Vec<(&str, PathFacts)> = facts
            .filter(|(_, facts)| facts.pod_uid.is_some() || facts.container_id.is_some())
            .collect();
        telling.sort_by_key(|(_, facts)| facts.pod_uid.is_none());
        let Some((path, facts)) = telling.into_iter().next() else {
            continue;
        };
        let uid = facts.pod_uid?;
        if found.as_ref().is_some_and(|found| found.uid != uid) {
            return None;
        }
        // The container, if any, is the last component that was named; where the drivers of kubelet and runtime differ, that
        // is the pod's too, which then has no cgroup of its own.
        let depth = facts.depth - usize::from(facts.container_id.is_some());
        let one = cgroup_path::prefix(path, facts.depth).contains(':');
        found = Some(Resident {
            uid,
            qos: facts.qos,
            path: (!one).then(|| cgroup_path::prefix(path, depth)),
        });
    }
    found
}

#[cfg(test)]
#[path = "netns_tests.rs"]
mod tests;
