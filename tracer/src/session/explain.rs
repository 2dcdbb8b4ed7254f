//! Contexts of those who hold or suffer most, when a window closes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
};

use tracer_common::{SocketState, TallyKey};

use super::Observation;
use crate::{
    aggregate::{Group, Harm, group::representative, harm},
    attribute::{Attributor, Owner, Sources},
    context::{
        Observer, Subject,
        observer::{Ending, MAX_TRACKED},
        subject,
    },
    diagnose,
    holders::{Scan, Socket},
};

/// Begins to observe the owners of the sockets of a scan.
#[must_use]
pub fn observer(sources: &Sources, attributor: &Attributor, scan: &Scan) -> Observer {
    Observer::begin(sources, &of_scan(scan, attributor))
}

/// Owners of the sockets of a scan; of those that were only summed, with the largest.
fn of_scan<'a>(scan: &'a Scan, attributor: &Attributor) -> BTreeMap<Group, Subject<'a>> {
    let mut subjects = subjects(scan.shown(), attributor);
    for sum in &scan.sums {
        let shown: u64 = sum.top.iter().map(Socket::held).sum();
        let owner = attributor.owner_of_socket(&sum.example);
        if let Some(subject) = subjects.get_mut(&Group::of(&owner)) {
            subject.held += sum.part.held.saturating_sub(shown);
        }
    }
    subjects
}

impl Observation {
    /// Looks into those who hold or suffer most, and rules on what keeps them from reading.
    pub fn explain(&mut self, observer: Observer) {
        let mut now = of_scan(&self.end.scan, &self.attributor);
        // Of a snapshot there is one scan: what lies unread in it has not been left alone yet.
        let earlier = (!self.has_one_scan()).then_some(&self.start.scan);
        let before = earlier.map(|scan| of_scan(scan, &self.attributor));
        let mut before = before.unwrap_or_default();
        let peak = self.peak.iter().flat_map(|peak| &peak.scan.sockets);
        for (group, subject) in subjects(peak, &self.attributor) {
            let entry = before.entry(group).or_default();
            if subject.held > entry.held {
                *entry = subject;
            }
        }
        let residents = residents(&now);
        let harms = self.harms(&residents);
        let wanted = most(&now, &before, &harms);
        let subjects = wanted.into_iter().map(|group| {
            // Those whose sockets are gone are known by what they had.
            let gone = || before.get(&group).cloned();
            let mut subject = now.remove(&group).or_else(gone).unwrap_or_default();
            if let Some(harm) = harms.get(&group) {
                subject.owners.extend(harm.owners.iter().cloned());
                subject.netns.extend(&harm.netns);
            }
            (group, subject)
        });
        let ending = Ending {
            subjects: subjects.collect(),
            residents: &residents,
            unread_before: &earlier
                .map_or_else(HashSet::new, |scan| subject::unread(&scan.sockets)),
            named: &named(&self.sockets),
            counts_before: (self.window.duration_ns > 0).then_some(&self.start.counts),
            counts: &self.end.counts,
        };
        let (contexts, gaps) = observer.end(&ending);
        self.contexts = contexts
            .into_iter()
            .map(|(group, figures)| (group, diagnose::context::judge(figures)))
            .collect();
        self.gaps.extend(gaps);
    }

    /// What owners suffered; by the counters of the network namespaces that they live in, where nothing was traced.
    fn harms(&self, residents: &BTreeMap<u32, BTreeSet<Group>>) -> BTreeMap<Group, Harm> {
        if self.traced {
            let known = self.owners_by_socket();
            let owner_of = |key: &TallyKey| match known.get(key) {
                Some(owner) => owner.clone(),
                None => self.attributor.owner_of(key),
            };
            let mut harms = harm::by_group(&self.deltas, &owner_of);
            harms.retain(|_, harm| harm.any());
            return harms;
        }
        let moved = self.rows.iter().filter(|row| row.kernel > Some(0));
        let netns: BTreeSet<u32> = moved.map(|row| row.netns_inum).collect();
        let mut harms: BTreeMap<Group, Harm> = BTreeMap::new();
        for inum in netns {
            for group in residents.get(&inum).into_iter().flatten() {
                harms.entry(group.clone()).or_default().netns.insert(inum);
            }
        }
        harms
    }
}

/// Owners of sockets. Where the kernel tells a cgroup that names one, all sockets in it are that owner's.
fn subjects<'a>(
    sockets: impl IntoIterator<Item = &'a Socket>,
    attributor: &Attributor,
) -> BTreeMap<Group, Subject<'a>> {
    let kin = |socket: &Socket| {
        let id = socket.cgroup_id?;
        let path = attributor.cgroups.path(id)?;
        attributor.tells(path).then_some(id)
    };
    subject::subjects(sockets, &kin, &|socket| attributor.owner_of_socket(socket))
}

/// Owners by the network namespaces of their sockets.
fn residents(subjects: &BTreeMap<Group, Subject<'_>>) -> BTreeMap<u32, BTreeSet<Group>> {
    let mut residents: BTreeMap<u32, BTreeSet<Group>> = BTreeMap::new();
    for (group, subject) in subjects {
        for inum in &subject.netns {
            residents.entry(*inum).or_default().insert(group.clone());
        }
    }
    residents
}

/// Cookies of sockets to which something happened.
fn named(sockets: &[(u64, SocketState)]) -> HashSet<u64> {
    let cookies = sockets.iter().map(|(cookie, _)| *cookie);
    cookies.filter(|cookie| *cookie != 0).collect()
}

/// The first holders and the first victims in turn, as many as an observer looks into.
fn most(
    now: &BTreeMap<Group, Subject<'_>>,
    before: &BTreeMap<Group, Subject<'_>>,
    harms: &BTreeMap<Group, Harm>,
) -> Vec<Group> {
    let held = |group: &Group| {
        let of =
            |subjects: &BTreeMap<Group, Subject<'_>>| subjects.get(group).map_or(0, |it| it.held);
        of(now).max(of(before))
    };
    let suffered = |harm: &Harm| harm.refusals().iter().copied().fold(0, u64::saturating_add);
    let mut holders: Vec<&Group> = now.keys().chain(before.keys()).collect();
    holders.retain(|group| held(group) > 0);
    holders.sort_by_key(|group| (Reverse(held(group)), (*group).clone()));
    holders.dedup();
    let mut victims: Vec<(&Group, &Harm)> = harms.iter().collect();
    victims.sort_by_key(|(group, harm)| (Reverse(suffered(harm)), (*group).clone()));
    let mut chosen: Vec<Group> = Vec::new();
    let mut victims = victims.into_iter().map(|(group, _)| group);
    let mut holders = holders.into_iter();
    loop {
        let next = [victims.next(), holders.next()];
        if next == [None, None] || chosen.len() >= MAX_TRACKED {
            return chosen;
        }
        for group in next.into_iter().flatten() {
            if !chosen.contains(group) && chosen.len() < MAX_TRACKED {
                chosen.push(group.clone());
            }
        }
    }
}

/// Owners that evidence named, each once.
#[must_use]
pub fn owners<'a>(
    keys: impl IntoIterator<Item = &'a TallyKey>,
    attributor: &Attributor,
) -> Vec<Owner> {
    let keys: BTreeSet<&TallyKey> = keys.into_iter().collect();
    let mut groups: BTreeMap<Group, BTreeSet<Owner>> = BTreeMap::new();
    for key in keys {
        let owner = harm::owner_of(key, &|key| attributor.owner_of(key));
        groups.entry(Group::of(&owner)).or_default().insert(owner);
    }
    groups.values().map(representative).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::OwnerKind;

    fn group(uid: usize) -> Group {
        Group::Pod(uid.to_string())
    }

    fn holders(held: &[(usize, u64)]) -> BTreeMap<Group, Subject<'_>> {
        let subject = |held| Subject {
            held,
            ..Subject::default()
        };
        held.iter()
            .map(|(uid, held)| (group(*uid), subject(*held)))
            .collect()
    }

    #[test]
    fn victims_and_holders_take_turns() {
        let mut refused = Harm::default();
        refused.verdicts[0][0] = 5;
        let harms = BTreeMap::from([(group(1), Harm::default()), (group(2), refused)]);
        let now = holders(&[(3, 10), (4, 0), (2, 5)]);
        let before = holders(&[(5, 20)]);
        // 2 suffers more than 1; 5 held most, and holds nothing any more; 4 never did.
        assert_eq!(most(&now, &before, &harms), [2, 5, 1, 3].map(group));
        let many: Vec<(usize, u64)> = (0..100).map(|uid| (uid, 1)).collect();
        assert_eq!(most(&holders(&many), &before, &harms).len(), MAX_TRACKED);
    }

    #[test]
    fn each_owner_is_named_once() {
        let mut attributor = Attributor::default();
        attributor.cgroups.learn(7, "/system.slice/redis.service");
        attributor
            .cgroups
            .learn(8, "/system.slice/redis.service/child");
        let key = |cgroup_id| TallyKey {
            cgroup_id,
            ..TallyKey::default()
        };
        let named = owners(&[key(7), key(8), key(7)], &attributor);
        assert_eq!(named.len(), 1, "{named:?}");
        assert_eq!(named[0].kind, OwnerKind::SystemdUnit);
    }
}
