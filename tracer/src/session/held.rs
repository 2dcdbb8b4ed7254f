//! What is found out of sockets and their holders at the end of a window.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{Survey, largest, pressed::pressed};
use crate::{
    aggregate::Group,
    attribute::{Attributor, Sources},
    holders::{self, Detail, Progress, Scan, Socket},
    indicators::{
        memcg::{Pressed, Readings},
        netns::Netns,
    },
};

/// Sockets up to which a window within a row of them lists each by itself; of more only sums are kept, where the cgroup tells whose
/// they are, so that a busy node is not burdened by reports in a row.
pub const SINGLY_UP_TO: u64 = 10_000;

/// How thoroughly it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// All that a report can tell.
    Whole,
    /// Only what is found soon, as for a snapshot.
    Quick,
    /// Sockets were not listed again: only what is read without them.
    Nothing,
}

/// What was found.
pub(super) struct Held {
    /// `sock` of `memory.stat` of the cgroups of holders, in bytes.
    pub(super) memory_stats: BTreeMap<Group, u64>,
    /// Memory cgroups to which something happened; `None` where that cannot be read.
    pub(super) memcgs: Option<Vec<Pressed>>,
}

/// Looks for the holders of sockets and what the memory controller says of them.
pub(super) fn look(
    sources: &Sources,
    attributor: &mut Attributor,
    start: &Survey,
    end: &Survey,
    effort: Effort,
) -> Held {
    let memory_stats = match effort {
        Effort::Nothing => BTreeMap::new(),
        Effort::Whole | Effort::Quick => {
            sources.find_processes(attributor, sockets_of(start, end));
            largest::look(sources, attributor, &end.scan, effort == Effort::Quick)
        }
    };
    let (before, after): (Option<&Readings>, _) = (start.memcgs.as_ref(), end.memcgs.as_ref());
    let scan = (effort != Effort::Nothing).then_some(&*end.scan);
    Held {
        memory_stats,
        memcgs: pressed(sources, attributor, before, after, scan),
    }
}

/// Lists sockets in as much detail as a row of windows can afford.
pub(super) fn list(
    proc: &Path,
    namespaces: &[Netns],
    attributor: &Attributor,
    allocated: Option<u64>,
) -> Scan {
    let tells = |cgroup| attributor.cgroup_tells(cgroup);
    let detail = Detail::for_sockets(allocated, SINGLY_UP_TO, &tells);
    holders::scan_namespaces(proc, namespaces, detail, &Progress::quiet())
}

/// The sockets of both ends of a window.
pub(super) fn sockets_of<'a>(
    start: &'a Survey,
    end: &'a Survey,
) -> impl Iterator<Item = &'a Socket> {
    let later = (!Arc::ptr_eq(&start.scan, &end.scan)).then_some(&end.scan.sockets);
    start.scan.sockets.iter().chain(later.into_iter().flatten())
}

/// Forgets processes that hold none of the sockets of two listings: in a long row of windows they would become many, and their
/// numbers be given again.
pub(super) fn forget(attributor: &mut Attributor, scans: [&Scan; 2]) {
    let sockets = scans.into_iter().flat_map(Scan::shown);
    let inodes = sockets.map(|socket| socket.inode).collect();
    attributor.processes.keep_only(&inodes);
}
