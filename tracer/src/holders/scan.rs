//! Every TCP socket of every network namespace, with its memory.
//!
//! **Why sock_diag and not the BPF iterator `iter/tcp`.** On Linux 6.1 and later the iterator takes the
//! socket lock, and releasing it works off the socket's backlog in our context: we would run the victim's
//! packets, hold up its reader, and change what we measure. `sock_diag` takes no socket lock, needs no BPF and
//! so answers on every kernel, also where tracing is impossible. Its price: a module (`tcp_diag`) that the
//! kernel loads on demand, which fails where modules are locked or modprobe is missing; a reading is not
//! one instant. Neither of the two sees a socket that is in no table: these are looked for by their descriptors (`unlisted.rs`)
//! where the node has more sockets than are listed. Where the module cannot be had, `/proc` still lists the sockets, with payload but
//! without memory, and the gap is named.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    netlink::{self, DumpError},
    proc_tcp,
    progress::Progress,
    socket::{Scan, Socket},
    unlisted,
};
use crate::indicators::{
    memory::page_size,
    netns::{self, Netns, Place},
    sockstat::Sockstat,
};

/// Time for all namespaces together.
const BUDGET: Duration = Duration::from_secs(20);
/// Time for the search for sockets in no table, within that.
const SEARCH_BUDGET: Duration = Duration::from_secs(10);
/// As many sockets in no table are worth a search,
const WORTH_SOCKETS: u64 = 16;
/// or fewer where so much memory is in no listed socket.
const WORTH_BYTES: u64 = 1 << 20;
/// Time for the windows of a few.
const WINDOWS_BUDGET: Duration = Duration::from_secs(2);

/// Lists every TCP socket that a procfs and `sock_diag` show. Ends within about 20 seconds whatever
/// happens; what could not be read is in the gaps.
///
/// ```no_run
/// let scan = tracer::holders::scan(std::path::Path::new("/proc"));
/// let held: u64 = scan.sockets.iter().filter_map(|socket| Some(socket.memory?.held())).sum();
/// println!("{} sockets hold {held} bytes; {:?}", scan.sockets.len(), scan.gaps);
/// ```
#[must_use]
pub fn scan(proc: &Path) -> Scan {
    let listing = netns::list(proc);
    let mut scan = scan_namespaces(proc, &listing.namespaces, &Progress::quiet());
    scan.gaps.splice(0..0, listing.gaps);
    scan
}

/// The same for namespaces that are listed already, with words on how far it is where it takes long.
#[must_use]
pub fn scan_namespaces(proc: &Path, namespaces: &[Netns], progress: &Progress<'_>) -> Scan {
    let deadline = Instant::now() + BUDGET;
    let before = sockstat(proc);
    let mut scan = listed(proc, namespaces, deadline, progress);
    scan.around = [before, sockstat(proc)];
    if let Some(missing) = missing(&scan) {
        let inodes = scan.sockets.iter().map(|socket| socket.inode);
        let left = deadline.saturating_duration_since(Instant::now());
        let budget = left.min(SEARCH_BUDGET);
        let search = unlisted::search(proc, inodes.collect(), missing, budget, progress);
        // One that was listed and died before it was searched for is there twice.
        let cookies = search.sockets.iter().map(|socket| socket.cookie);
        let dead: HashSet<u64> = cookies.filter(|&cookie| cookie != 0).collect();
        scan.sockets.retain(|socket| !dead.contains(&socket.cookie));
        scan.sockets.extend(search.sockets);
        scan.gaps.extend(search.gaps);
        scan.around[1] = sockstat(proc);
    }
    scan
}

/// The sockets that tables list.
fn listed(proc: &Path, namespaces: &[Netns], deadline: Instant, progress: &Progress<'_>) -> Scan {
    let total = namespaces.len();
    let (mut at, mut found) = (0, 0);
    let mut stopped_at = None;
    let visit = netns::visit(proc, namespaces, |netns, place| {
        let part = one(netns, place, deadline);
        (at, found) = (at + 1, found + part.sockets.len());
        if stopped_at.is_none() && Instant::now() >= deadline {
            stopped_at = Some(netns.inum);
        }
        progress.tell(|| {
            format!("reading sockets: network namespace {at} of {total}, {found} sockets so far")
        });
        part
    });
    let mut scan = Scan::default();
    let mut reasons = BTreeMap::<String, usize>::new();
    for part in visit.results {
        scan.sockets.extend(part.sockets);
        for gap in part.gaps {
            *reasons.entry(gap).or_default() += 1;
        }
    }
    scan.gaps = visit.gaps;
    let told = reasons
        .into_iter()
        .map(|(gap, count)| format!("{gap} ({count} of {total} network namespaces)"));
    scan.gaps.extend(told);
    if let Some(inum) = stopped_at {
        scan.gaps.push(format!(
            "time to read sockets was up at network namespace {inum}"
        ));
    }
    scan
}

/// How many sockets in no table to look for; `None` where it is not worth a search.
///
/// The node's own count of sockets, less those that are listed. A few are on every node: made and not used yet. They are looked for
/// only where there is memory that nobody listed holds.
fn missing(scan: &Scan) -> Option<u64> {
    let [before, after] = scan.around;
    let allocated = before.alloc?.min(after.alloc?);
    // Stand-ins are not full sockets, and not among the allocated ones.
    let full = scan.sockets.iter().filter(|it| !it.is_stand_in()).count();
    let missing = allocated.saturating_sub(u64::try_from(full).unwrap_or(u64::MAX));
    let held: u64 = scan.sockets.iter().map(Socket::held).sum();
    let pages = before.mem.unwrap_or(0).min(after.mem.unwrap_or(0));
    let hidden = pages.saturating_mul(page_size()) > held.saturating_add(WORTH_BYTES);
    (missing >= WORTH_SOCKETS || (missing > 0 && hidden)).then_some(missing)
}

/// The node's own account; empty when it cannot be read.
fn sockstat(proc: &Path) -> Sockstat {
    fs::read_to_string(proc.join("net/sockstat"))
        .map_or_else(|_| Sockstat::default(), |text| Sockstat::parse(&text))
}

/// The sockets of some network namespaces to which data may arrive, each with whether its window is held small. `None` where one of
/// them cannot be asked: a part would be taken for the whole.
#[must_use]
pub fn windows(proc: &Path, wanted: &BTreeSet<u32>) -> Option<Vec<Socket>> {
    let deadline = Instant::now() + WINDOWS_BUDGET;
    let listing = netns::list(proc);
    let namespaces = listing.namespaces.into_iter();
    let namespaces: Vec<Netns> = namespaces
        .filter(|netns| wanted.contains(&netns.inum))
        .collect();
    let visit = netns::visit(proc, &namespaces, |netns, place| {
        let dump = place
            .inside
            .then(|| netlink::dump_windows(netns.inum, deadline));
        dump?.ok().map(|dump| once(dump.sockets))
    });
    let parts: Option<Vec<_>> = visit.results.into_iter().collect();
    Some(parts?.into_iter().flatten().collect())
}

/// Gaps here do not name the namespace, so that equal ones can be told once with their number.
fn one(netns: &Netns, place: &Place, deadline: Instant) -> Scan {
    if !place.inside {
        return fallback(netns, place, "it may not be entered (CAP_SYS_ADMIN)");
    }
    match netlink::dump(netns.inum, deadline) {
        Ok(dump) => {
            let mut scan = Scan {
                sockets: once(dump.sockets),
                ..Scan::default()
            };
            if dump.interrupted {
                scan.gaps
                    .push("sock_diag was interrupted: some sockets may be missing".to_owned());
            }
            scan
        }
        // Out of time is out of time: /proc is slower still.
        Err(error @ DumpError::Timeout) => Scan {
            gaps: vec![format!("{error}: its sockets are not known")],
            ..Scan::default()
        },
        Err(error) => fallback(netns, place, &error.to_string()),
    }
}

/// `/proc/net/tcp` and `tcp6`.
fn fallback(netns: &Netns, place: &Place, why: &str) -> Scan {
    let mut scan = Scan::default();
    let mut bad = 0;
    for name in ["tcp", "tcp6"] {
        match fs::read(place.net.join(name)) {
            Ok(text) => {
                let text = String::from_utf8_lossy(&text);
                let (sockets, not_understood) = proc_tcp::parse(&text, netns.inum);
                scan.sockets.extend(sockets);
                bad += not_understood;
            }
            // Without IPv6 there is no tcp6; without tcp the process that showed it is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => scan.gaps.push(format!("/proc/net/{name}: {error}")),
        }
    }
    if bad > 0 {
        scan.gaps
            .push(format!("/proc/net/tcp: {bad} lines not understood"));
    }
    scan.gaps.push(format!(
        "memory of its sockets is not known, only their unread payload from /proc/net/tcp: {why}"
    ));
    scan
}

/// One entry a cookie, the later one: a request that became a connection, or a connection that went to
/// TIME-WAIT while the kernel went through its tables, keeps its cookie and is listed twice.
fn once(sockets: Vec<Socket>) -> Vec<Socket> {
    let mut seen = HashMap::with_capacity(sockets.len());
    let mut kept: Vec<Socket> = Vec::with_capacity(sockets.len());
    for socket in sockets {
        if socket.cookie != 0
            && let Some(&index) = seen.get(&socket.cookie)
        {
            kept[index] = socket;
            continue;
        }
        seen.insert(socket.cookie, kept.len());
        kept.push(socket);
    }
    kept
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
