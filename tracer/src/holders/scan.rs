//! Every TCP socket of every network namespace, with its memory.
//!
//! **Why sock_diag and not the BPF iterator `iter/tcp`.** On Linux 6.1 and later the iterator takes the
//! socket lock, and releasing it works off the socket's backlog in our context: we would run the victim's
//! packets, hold up its reader, and change what we measure. `sock_diag` takes no socket lock, needs no BPF and
//! so answers on every kernel, also where tracing is impossible. Its price: a module (`tcp_diag`) that the
//! kernel loads on demand, which fails where modules are locked or modprobe is missing; a reading is not
//! one instant; and neither of the two sees a socket that is in no table (reset by its peer while data is
//! unread: state CLOSE, memory held until the descriptor is closed). Where the module cannot be had, `/proc`
//! still lists the sockets, with payload but without memory, and the gap is named.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::ErrorKind,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    netlink::{self, DumpError},
    proc_tcp,
    socket::{Scan, Socket},
};
use crate::indicators::{
    netns::{self, Netns, Place},
    sockstat::Sockstat,
};

/// Time for all namespaces together.
const BUDGET: Duration = Duration::from_secs(20);
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
    let mut scan = scan_namespaces(proc, &listing.namespaces);
    scan.gaps.splice(0..0, listing.gaps);
    scan
}

/// The same for namespaces that are listed already.
#[must_use]
pub fn scan_namespaces(proc: &Path, namespaces: &[Netns]) -> Scan {
    let deadline = Instant::now() + BUDGET;
    let before = sockstat(proc);
    let visit = netns::visit(proc, namespaces, |netns, place| one(netns, place, deadline));
    let mut scan = Scan {
        around: [before, sockstat(proc)],
        ..Scan::default()
    };
    let mut reasons = BTreeMap::<String, usize>::new();
    for part in visit.results {
        scan.sockets.extend(part.sockets);
        for gap in part.gaps {
            *reasons.entry(gap).or_default() += 1;
        }
    }
    scan.gaps = visit.gaps;
    let total = namespaces.len();
    let told = reasons
        .into_iter()
        .map(|(gap, count)| format!("{gap} ({count} of {total} network namespaces)"));
    scan.gaps.extend(told);
    scan
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

/// How many TCP sockets the node has beyond those listed, given how many are allocated
/// ([`crate::indicators::TcpMemory::alloc`]). They are in no table: made and not used yet, or reset by their peer
/// while data was unread, which keep their memory until their descriptor is closed. The two numbers are not of one
/// instant, so a few more or less mean nothing.
#[must_use]
pub fn unlisted(scan: &Scan, allocated: u64) -> u64 {
    // Stand-ins are not full sockets, and not among the allocated ones.
    let full = |socket: &&Socket| socket.listed && !socket.is_stand_in();
    let listed = scan.sockets.iter().filter(full).count();
    allocated.saturating_sub(u64::try_from(listed).unwrap_or(u64::MAX))
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
