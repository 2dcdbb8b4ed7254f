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
mod tests {
    use super::*;

    const A: &str = "/kubepods/burstable/pod6c2c2d3e-1111-4222-8333-00000000000a";
    const B: &str = "/kubepods/pod7d2c2d3e-1111-4222-8333-00000000000b";

    fn of(path: &str) -> Resident {
        resident(&[vec![path]]).unwrap()
    }

    fn seen(inum: u32, cookie: Option<u64>, path: Option<&str>) -> Seen {
        Seen {
            inum,
            cookie,
            resident: path.map(of),
        }
    }

    #[test]
    fn processes_of_one_pod_and_strangers_without_a_pod() {
        let (one, two) = (format!("{A}/c1"), format!("{A}/c2/inner"));
        let admin = "/user.slice/user-0.slice/session-1.scope";
        let found = resident(&[
            vec!["/", admin],
            vec![&one],
            vec!["/system.slice/x.service", &two],
        ])
        .unwrap();
        assert_eq!(found.uid, "6c2c2d3e-1111-4222-8333-00000000000a");
        assert_eq!(
            (found.path.as_deref(), found.qos),
            (Some(A), Some(Qos::Burstable))
        );
        assert_eq!(resident(&[vec![&one], vec![B]]), None, "two pods");
        let docker = format!("/docker/{}", "0f".repeat(32));
        let scope = format!("{docker}/init.scope");
        assert_eq!(
            resident(&[vec![&scope], vec![&one]]),
            None,
            "a node within a container"
        );
        assert_eq!(resident(&[vec![admin], Vec::new()]), None);
        assert_eq!(resident(&[]), None);
    }

    #[test]
    fn by_cookie_even_after_the_number_was_given_again() {
        let mut table = NetnsTable::default();
        table.learn(vec![seen(7, Some(100), Some(A))]);
        assert!(table.knows(7, Some(100)) && !table.knows(7, Some(101)));
        table.learn(vec![seen(7, Some(101), Some(B))]);
        assert_eq!(table.get(7, 100), Some(&of(A)));
        assert_eq!(table.get(7, 101), Some(&of(B)));
        assert_eq!((table.get(7, 102), table.of_scan(7)), (None, None));
        assert_eq!(table.get(7, 0), None, "it may be either");
        assert_eq!(table.get(8, 100), None);
    }

    #[test]
    fn without_cookies_only_what_was_there_all_the_time() {
        let mut table = NetnsTable::default();
        table.learn(vec![seen(7, None, Some(A)), seen(8, None, Some(B))]);
        table.learn(vec![seen(7, None, Some(A)), seen(9, None, Some(B))]);
        assert_eq!(table.get(7, 0), Some(&of(A)));
        assert_eq!(
            table.get(7, 100),
            Some(&of(A)),
            "the kernel programs see a cookie, we do not"
        );
        assert_eq!(
            table.get(8, 0),
            None,
            "gone: the number may be another's by now"
        );
        assert_eq!(
            table.get(9, 0),
            None,
            "who had the number before is not known"
        );
        // Scans are made when the namespaces are listed.
        assert_eq!(table.of_scan(8), Some(&of(B)));
        assert_eq!(table.of_scan(9), Some(&of(B)));
        table.learn(vec![seen(7, None, Some(B))]);
        assert_eq!(table.get(7, 0), None, "another pod with the same number");
    }

    #[test]
    fn a_namespace_without_a_pod_is_nobodys() {
        let mut table = NetnsTable::default();
        table.learn(vec![seen(7, Some(1), None), seen(8, None, None)]);
        assert_eq!((table.get(7, 1), table.get(8, 0)), (None, None));
        assert!(!table.knows(7, Some(1)));
        // A pod moves in: the same namespace where the cookie says so.
        table.learn(vec![seen(7, Some(1), Some(A)), seen(8, None, Some(A))]);
        assert_eq!((table.get(7, 1), table.get(8, 0)), (Some(&of(A)), None));
        table.learn(vec![seen(7, Some(1), Some(B))]);
        table.learn(vec![seen(7, Some(1), Some(A))]);
        assert_eq!(table.get(7, 1), None, "disputed");
        assert!(table.knows(7, Some(1)));
    }

    #[test]
    fn a_word_counts_only_where_nothing_else_is_known() {
        let mut table = NetnsTable::default();
        table.learn(vec![
            seen(7, Some(1), None),
            seen(8, Some(2), Some(A)),
            seen(9, Some(3), Some(A)),
        ]);
        table.learn(vec![seen(7, Some(1), None), seen(8, Some(2), Some(A))]);
        for claimed in [
            seen(7, Some(1), Some(B)),
            seen(8, Some(2), Some(B)),
            seen(9, Some(3), Some(B)),
        ] {
            table.claim(claimed);
        }
        table.claim(seen(7, Some(5), Some(A)));
        assert_eq!(
            (table.get(7, 1), table.get(8, 2), table.get(9, 3)),
            (Some(&of(B)), Some(&of(A)), Some(&of(A)))
        );
        assert!(table.houses("7d2c2d3e111142228333-00000000000B") && !table.houses("other"));
    }

    #[test]
    fn many_namespaces_take_bounded_memory() {
        let mut table = NetnsTable::default();
        for cookie in 1..1000 {
            table.learn(vec![seen(7, Some(cookie), Some(A))]);
        }
        assert_eq!(table.by_inum[&7].len(), LIVES_MAX);
        for inum in 0..u32::try_from(NAMESPACES_MAX).unwrap() * 2 {
            table.learn(vec![seen(inum, Some(1), None)]);
            assert!(table.by_inum.len() <= NAMESPACES_MAX);
        }
    }
}
