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
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    gather::{Detail, Gathering, MAX_KEPT},
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
/// let total = scan.total();
/// println!("{} sockets hold {} bytes; {:?}", total.sockets, total.held, scan.gaps);
/// ```
#[must_use]
pub fn scan(proc: &Path) -> Scan {
    let listing = netns::list(proc);
    let quiet = Progress::quiet();
    let mut scan = scan_namespaces(proc, &listing.namespaces, Detail::Each, &quiet);
    scan.gaps.splice(0..0, listing.gaps);
    scan
}

/// The same for namespaces that are listed already, in as much detail as is wanted, with words on how far it is where it takes long.
#[must_use]
pub fn scan_namespaces(
    proc: &Path,
    namespaces: &[Netns],
    detail: Detail<'_>,
    progress: &Progress<'_>,
) -> Scan {
    let (at, deadline) = (Timestamp::now(), Instant::now() + BUDGET);
    let before = sockstat(proc);
    let mut gathering = Gathering::new(detail, progress);
    let gaps = listed(proc, namespaces, deadline, &mut gathering);
    let beyond = gathering.beyond;
    let (sockets, sums, inodes) = gathering.finish();
    let mut scan = Scan {
        at: Some(at),
        sockets,
        sums,
        gaps,
        around: [before, sockstat(proc)],
    };
    if beyond > 0 {
        scan.gaps.push(format!(
            "more than {MAX_KEPT} sockets: {beyond} were summed by their cgroups only"
        ));
    }
    if let Some(missing) = missing(&scan) {
        let left = deadline.saturating_duration_since(Instant::now());
        let budget = left.min(SEARCH_BUDGET);
        let listed = inodes.into_iter().collect();
        let search = unlisted::search(proc, listed, missing, budget, progress);
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

/// Gathers the sockets that tables list. What could not be read is told in words.
fn listed(
    proc: &Path,
    namespaces: &[Netns],
    deadline: Instant,
    to: &mut Gathering<'_>,
) -> Vec<String> {
    let total = namespaces.len();
    let mut stopped_at = None;
    let visit = netns::visit(proc, namespaces, |netns, place| {
        let gaps = one(netns, place, deadline, to);
        if stopped_at.is_none() && Instant::now() >= deadline {
            stopped_at = Some(netns.inum);
        }
        gaps
    });
    let mut reasons = BTreeMap::<String, usize>::new();
    for gap in visit.results.into_iter().flatten() {
        *reasons.entry(gap).or_default() += 1;
    }
    let mut gaps = visit.gaps;
    let told = reasons
        .into_iter()
        .map(|(gap, count)| format!("{gap} ({count} of {total} network namespaces)"));
    gaps.extend(told);
    if let Some(inum) = stopped_at {
        gaps.push(format!(
            "time to read sockets was up at network namespace {inum}"
        ));
    }
    gaps
}

/// How many sockets in no table to look for; `None` where it is not worth a search.
///
/// The node's own count of sockets, less those that are listed. A few are on every node: made and not used yet. They are looked for
/// only where there is memory that nobody listed holds.
fn missing(scan: &Scan) -> Option<u64> {
    let [before, after] = scan.around;
    let allocated = before.alloc?.min(after.alloc?);
    let total = scan.total();
    let missing = allocated.saturating_sub(total.full);
    let pages = before.mem.unwrap_or(0).min(after.mem.unwrap_or(0));
    let hidden = pages.saturating_mul(page_size()) > total.held.saturating_add(WORTH_BYTES);
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
    let quiet = Progress::quiet();
    let mut gathering = Gathering::new(Detail::Each, &quiet);
    let visit = netns::visit(proc, &namespaces, |netns, place| {
        let asked =
            place.inside && netlink::dump_windows(netns.inum, deadline, &mut gathering).is_ok();
        gathering.end();
        asked
    });
    let all = visit.results.into_iter().all(|asked| asked);
    all.then(|| gathering.finish().0)
}

/// Gathers the sockets of one namespace. Gaps do not name it, so that equal ones can be told once with their number.
fn one(netns: &Netns, place: &Place, deadline: Instant, to: &mut Gathering<'_>) -> Vec<String> {
    let gaps = if place.inside {
        match netlink::dump(netns.inum, deadline, to) {
            Ok(false) => Vec::new(),
            Ok(true) => vec!["sock_diag was interrupted: some sockets may be missing".to_owned()],
            // Out of time is out of time: /proc is slower still.
            Err(error @ DumpError::Timeout) => {
                to.begin();
                vec![format!("{error}: its sockets are not known")]
            }
            Err(error) => fallback(netns, place, &error.to_string(), to),
        }
    } else {
        fallback(netns, place, "it may not be entered (CAP_SYS_ADMIN)", to)
    };
    to.end();
    gaps
}

/// `/proc/net/tcp` and `tcp6`. What they lack is told in words.
fn fallback(netns: &Netns, place: &Place, why: &str, to: &mut Gathering<'_>) -> Vec<String> {
    to.begin();
    let mut gaps = Vec::new();
    let mut bad = 0;
    for name in ["tcp", "tcp6"] {
        match fs::read(place.net.join(name)) {
            Ok(text) => {
                let text = String::from_utf8_lossy(&text);
                let (sockets, not_understood) = proc_tcp::parse(&text, netns.inum);
                sockets.into_iter().for_each(|socket| to.take(socket));
                bad += not_understood;
            }
            // Without IPv6 there is no tcp6; without tcp the process that showed it is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => gaps.push(format!("/proc/net/{name}: {error}")),
        }
    }
    if bad > 0 {
        gaps.push(format!("/proc/net/tcp: {bad} lines not understood"));
    }
    gaps.push(format!(
        "memory of its sockets is not known, only their unread payload from /proc/net/tcp: {why}"
    ));
    gaps
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
