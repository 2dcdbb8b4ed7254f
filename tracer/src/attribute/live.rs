//! The sources that are asked again while a window is open: container runtimes, and the folder of the logs of pods. Pods that come
//! and go within it are heard of when they come, by births of cgroups and of log folders; a runtime is asked for those alone.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    Attributor, Sources, cgroup_path,
    cri::{Answer, Reader, SeenStatus, Sockets, What, reader::GRACE},
    log_watch::LogWatch,
    netns::{Resident, Seen},
    residents,
};
use crate::indicators::netns::Netns;

/// How often a container that was born is asked for: a runtime may list it only after its cgroup was made.
const TRIES: u8 = 5;
/// Containers that are asked for at most; with more at once everything is listed all the same.
const WANTED_MAX: usize = 4096;
/// Statuses in one asking.
const STATUSES_MAX: usize = 16;
/// Askings while one waits for the last answers.
const ROUNDS: usize = 4;
/// After one that did not answer, everything is listed again, so often until it does: what it would have told meanwhile is not lost.
const AGAIN: Duration = Duration::from_secs(10);
/// Gaps that are kept.
const GAPS_MAX: usize = 16;
/// Sandboxes whose status was asked for, that are remembered.
const ASKED_MAX: usize = 20_000;

/// Sources at work.
#[derive(Debug)]
pub struct Live {
    sources: Sources,
    reader: Option<Reader>,
    logs: Option<LogWatch>,
    /// Containers that were born and not named yet: their pod, and how often they will be asked for.
    wanted: HashMap<String, (String, u8)>,
    /// Whether everything was listed, and everybody has answered since.
    listed: bool,
    /// When everything is listed again, because somebody did not answer.
    again: Option<Instant>,
    /// Sandboxes whose status was asked for.
    asked: HashSet<String>,
    /// Namespaces of the last listing in which no pod was found.
    empty: Vec<(u32, Option<u64>)>,
}

impl Live {
    /// Begins to listen, and asks the runtimes for everything. To be made before the tables are read for the first time, so that
    /// nothing happens in between.
    #[must_use]
    pub fn start(sources: &Sources) -> Self {
        let start = || {
            let (sockets, hints) = (sources.cri.clone(), sources.hints.clone());
            let reader = Reader::start(sockets, &sources.proc, hints, sources.patience);
            let mut reader = reader.ok()?;
            reader.ask(What::All);
            Some(reader)
        };
        Self {
            sources: sources.clone(),
            reader: if sources.cri == Sockets::None {
                None
            } else {
                start()
            },
            // Without it, names are those that the folder has when it is read.
            logs: LogWatch::new(&sources.pod_logs).ok(),
            wanted: HashMap::new(),
            listed: false,
            again: None,
            asked: HashSet::new(),
            empty: Vec::new(),
        }
    }

    /// Takes note of the birth of a cgroup.
    pub fn born(&mut self, path: &str, attributor: &Attributor) {
        let facts = cgroup_path::parse(path);
        let (Some(uid), Some(container)) = (facts.pod_uid, facts.container_id) else {
            return;
        };
        let known = attributor.cri.container(&container).is_some();
        if self.reader.is_some() && !known && self.wanted.len() < WANTED_MAX {
            self.wanted.entry(container).or_insert((uid, TRIES));
        }
    }

    /// Takes what came meanwhile, and asks for what is not named yet. It waits for nobody.
    pub fn look(&mut self, attributor: &mut Attributor) {
        if let Some(logs) = &mut self.logs {
            logs.drain(&mut attributor.pods);
        }
        if let Some(answer) = self.reader.as_mut().and_then(Reader::ready) {
            self.take(answer, attributor);
        }
        self.ask(attributor);
    }

    /// The same with the network namespaces as they were just listed; `again`: also those that only their number tells are
    /// looked at once more.
    pub fn look_at(
        &mut self,
        attributor: &mut Attributor,
        namespaces: &[(Netns, Option<u64>)],
        again: bool,
    ) {
        self.sources.find_residents(attributor, namespaces, again);
        let known = &attributor.namespaces;
        let empty = namespaces
            .iter()
            .filter(|(netns, cookie)| !known.knows(netns.inum, *cookie));
        self.empty = empty.map(|(netns, cookie)| (netns.inum, *cookie)).collect();
        self.look(attributor);
    }

    /// The last asking of a window: whoever is not named yet is asked for, and one waits for the answers, over all not longer than
    /// one asking may take.
    pub fn settle(&mut self, attributor: &mut Attributor) {
        self.look(attributor);
        let end = Instant::now() + self.sources.patience + GRACE;
        for _ in 0..ROUNDS {
            let Some(answer) = self.reader.as_mut().and_then(|reader| reader.wait(end)) else {
                break;
            };
            let complete = answer.gaps.is_empty();
            self.take(answer, attributor);
            // Whoever does not answer once is not asked again here.
            if !complete {
                break;
            }
            self.ask(attributor);
        }
    }

    fn ask(&mut self, attributor: &Attributor) {
        self.wanted
            .retain(|id, (_, tries)| *tries > 0 && attributor.cri.container(id).is_none());
        let uids: BTreeSet<String> = self.wanted.values().map(|(uid, _)| uid.clone()).collect();
        let statuses = match uids.is_empty() {
            true => self.statuses(attributor),
            false => Vec::new(),
        };
        let again = self.again.is_some_and(|at| Instant::now() >= at);
        let what = match (uids.is_empty(), statuses.is_empty()) {
            _ if again => What::All,
            (false, _) if self.listed => What::Pods(uids.into_iter().collect()),
            (false, _) => What::All,
            (true, false) => What::Statuses(statuses.clone()),
            (true, true) => return,
        };
        if self.reader.as_mut().is_some_and(|reader| reader.ask(what)) {
            self.asked.extend(statuses);
            for (_, tries) in self.wanted.values_mut() {
                *tries -= 1;
            }
        }
    }

    /// Sandboxes of which more than the lists must be known: what is behind their runtime handler, or in which of the network
    /// namespaces without a known pod they are.
    fn statuses(&self, attributor: &Attributor) -> Vec<String> {
        let mut ids = attributor.cri.open(STATUSES_MAX);
        if !self.empty.is_empty() && self.asked.len() < ASKED_MAX {
            let homeless = attributor.cri.sandboxes().filter(|(id, uid)| {
                !self.asked.contains(*id) && !attributor.namespaces.houses(uid)
            });
            ids.extend(homeless.map(|(id, _)| id.to_owned()).take(STATUSES_MAX));
        }
        ids.retain(|id| !self.asked.contains(id));
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(STATUSES_MAX);
        ids
    }

    fn take(&mut self, answer: Answer, attributor: &mut Attributor) {
        if answer.failed {
            self.listed = false;
            self.again = Some(Instant::now() + AGAIN);
        } else if answer.whole {
            self.listed = true;
            self.again = None;
        }
        let gaps = &mut attributor.cri.gaps;
        if answer.whole {
            gaps.clear();
        }
        for gap in answer.gaps {
            if gaps.len() < GAPS_MAX && !gaps.contains(&gap) {
                gaps.push(gap);
            }
        }
        if !answer.runtimes.is_empty() {
            attributor.cri.runtimes = answer.runtimes;
        }
        attributor.cri.learn(answer.listing, answer.whole);
        for status in &answer.statuses {
            attributor.cri.learn_status(status);
            self.take_namespace(status, attributor);
        }
    }

    /// A runtime's word on the network namespace of a sandbox counts where the node itself shows nothing else.
    fn take_namespace(&self, status: &SeenStatus, attributor: &mut Attributor) {
        let proc = &self.sources.proc;
        let root = proc.join("1/root");
        let mounted = status
            .netns
            .as_ref()
            .map(|path| root.join(path.strip_prefix("/").unwrap_or(path)));
        let of_process = status
            .pid
            .map(|pid| proc.join(pid.to_string()).join("ns/net"));
        let inum = mounted
            .and_then(|path| residents::mounted(&path))
            .or_else(|| of_process.and_then(|path| residents::inum(&path)));
        let place = inum.and_then(|inum| self.empty.iter().find(|(empty, _)| *empty == inum));
        let uid = attributor.cri.uid_of(&status.sandbox);
        let pod = uid.and_then(|uid| attributor.cri.pod(uid));
        if let (Some((inum, cookie)), Some(pod)) = (place, pod) {
            if residents::inum(&proc.join("1/ns/net")).is_none_or(|node| node == *inum) {
                return;
            }
            let resident = Resident {
                uid: pod.uid.clone(),
                qos: None,
                path: None,
            };
            attributor.namespaces.claim(Seen {
                inum: *inum,
                cookie: *cookie,
                resident: Some(resident),
            });
        }
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
