//! Every descriptor of a socket that a procfs shows: `PROC/PID/fd`, one process after the other, until the time is up or the caller
//! has seen enough.
//!
//! A process with threads is looked at once: threads share its table of descriptors. (One that has unshared its own, which is rare,
//! is not seen.) Nothing is opened but the folders; links are read, not followed.

use std::{
    ffi::CStr,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    fs::{self, AtFlags, CWD, Mode, OFlags, RawDir},
    io::Errno,
};

use crate::indicators::netns::numbers;

/// Descriptors between two looks at the clock.
const TURN: usize = 256;
/// Entries of a folder are read by as many bytes at once.
const FOLDER_BUFFER: usize = 32 * 1024;
/// Longer than any link to a socket.
const LINK_BUFFER: usize = 40;

/// One descriptor of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketFd {
    /// The process.
    pub(crate) pid: i32,
    /// The number of the descriptor.
    pub(crate) fd: i32,
    /// The socket's inode.
    pub(crate) inode: u32,
}

/// Which processes come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Those with low ids: of a socket that several hold, the parent comes before its children.
    Oldest,
    /// Those with most descriptors, as far as the kernel tells their number (6.2 and later): a leak is found there.
    Largest,
}

/// How much a walk may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Time for all of it.
    pub(crate) time: Duration,
    /// Descriptors of one process.
    pub(crate) of_process: usize,
}

impl Bounds {
    /// Every descriptor, as long as the time lasts.
    pub(crate) const fn within(time: Duration) -> Self {
        Self {
            time,
            of_process: usize::MAX,
        }
    }
}

/// What the caller of [`sockets`] says to each descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// To the next one.
    On,
    /// No further.
    Enough,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walk {
    /// Processes that there were.
    pub(crate) processes: usize,
    /// Processes that were looked at to the end.
    pub(crate) looked: usize,
    /// Processes whose descriptors may not be read.
    pub(crate) denied: usize,
    /// The process at which the time was up.
    pub(crate) stopped_at: Option<i32>,
    /// Processes that had more descriptors than were to be looked at.
    pub(crate) cut: usize,
}

impl Walk {
    /// In words: what was not seen.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if let Some(pid) = self.stopped_at {
            gaps.push(format!(
                "time was up at process {pid}: descriptors of {} of {} processes were not looked at, or not all of them",
                self.processes - self.looked,
                self.processes
            ));
        }
        if self.denied > 0 {
            gaps.push(format!(
                "descriptors of {} of {} processes may not be read (CAP_SYS_PTRACE)",
                self.denied, self.processes
            ));
        }
        gaps
    }
}

/// Goes through the descriptors of all processes and shows each one that is a socket.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn sockets(
    proc: &Path,
    order: Order,
    bounds: Bounds,
    mut each: impl FnMut(SocketFd) -> Go,
) -> io::Result<Walk> {
    let folder = fs::openat(
        CWD,
        proc,
        OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let pids = pids(proc, &folder, order)?;
    let mut walk = Walk {
        processes: pids.len(),
        ..Walk::default()
    };
    let mut buffer = vec![MaybeUninit::uninit(); FOLDER_BUFFER];
    let mut clock = Clock::new(bounds.time);
    for pid in pids {
        match one(&folder, pid, &mut buffer, (&mut clock, bounds), &mut each) {
            Ok(End::Seen) => {}
            Ok(End::Cut) => walk.cut += 1,
            Ok(End::Enough) => break,
            Ok(End::TimeUp) => {
                walk.stopped_at = Some(pid);
                break;
            }
            Err(Errno::ACCESS | Errno::PERM) => walk.denied += 1,
            // Gone meanwhile.
            Err(_) => {}
        }
        walk.looked += 1;
    }
    Ok(walk)
}

/// Looks at the time now and then only, because that costs as much as a descriptor.
struct Clock {
    begun: Instant,
    budget: Duration,
    turn: usize,
}

impl Clock {
    fn new(budget: Duration) -> Self {
        Self {
            begun: Instant::now(),
            budget,
            turn: 0,
        }
    }

    fn is_up(&mut self) -> bool {
        let look = self.turn == 0;
        self.turn = (self.turn + 1) % TURN;
        look && self.begun.elapsed() >= self.budget
    }
}

fn pids(proc: &Path, folder: &OwnedFd, order: Order) -> io::Result<Vec<i32>> {
    let mut pids = numbers(proc)?;
    pids.sort_unstable();
    if order == Order::Largest {
        let many = |pid: &i32| {
            let stat = fs::statat(folder, format!("{pid}/fd"), AtFlags::empty());
            std::cmp::Reverse(stat.map_or(0, |stat| stat.st_size))
        };
        pids.sort_by_cached_key(many);
    }
    Ok(pids)
}

/// How the descriptors of one process came to an end.
enum End {
    Seen,
    Enough,
    TimeUp,
    Cut,
}

fn one(
    proc: &OwnedFd,
    pid: i32,
    buffer: &mut [MaybeUninit<u8>],
    (clock, bounds): (&mut Clock, Bounds),
    each: &mut impl FnMut(SocketFd) -> Go,
) -> Result<End, Errno> {
    if clock.is_up() {
        return Ok(End::TimeUp);
    }
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = fs::openat(proc, format!("{pid}/fd"), flags, Mode::empty())?;
    let mut left = bounds.of_process;
    let mut entries = RawDir::new(&folder, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if clock.is_up() {
            return Ok(End::TimeUp);
        }
        let Some(fd) = number(entry.file_name()) else {
            continue;
        };
        if left == 0 {
            return Ok(End::Cut);
        }
        left -= 1;
        let mut link = [MaybeUninit::uninit(); LINK_BUFFER];
        let target = match fs::readlinkat_raw(&folder, entry.file_name(), &mut link) {
            Ok((target, _)) => &*target,
            // One of them may not be read, so none may.
            Err(error @ (Errno::ACCESS | Errno::PERM)) => return Err(error),
            // Closed meanwhile.
            Err(_) => continue,
        };
        if let Some(inode) = socket_inode(target)
            && each(SocketFd { pid, fd, inode }) == Go::Enough
        {
            return Ok(End::Enough);
        }
    }
    Ok(End::Seen)
}

fn number(name: &CStr) -> Option<i32> {
    name.to_str().ok()?.parse().ok()
}

/// The number in `socket:[N]`.
pub(crate) fn socket_inode(target: &[u8]) -> Option<u32> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    const BUDGET: Duration = Duration::from_secs(10);

    fn fixture() -> Fixture {
        let proc = Fixture::new();
        proc.link("20/fd/3", "socket:[100]")
            .link("20/fd/4", "socket:[101]")
            .link("20/fd/5", "/dev/null")
            .link("9/fd/7", "socket:[100]")
            .link("9/fd/x", "socket:[102]")
            .link("8/fd/7", "socket:[nonsense]")
            .link("8/fd/8", "socket:[4294967296]")
            .link(
                "8/fd/9",
                "socket:[1234567890123456789012345678901234567890]",
            )
            .dir("7");
        proc
    }

    fn seen(budget: Duration, most: usize) -> (Vec<(i32, i32, u32)>, Walk) {
        let mut seen = Vec::new();
        let walk = sockets(
            fixture().path(),
            Order::Oldest,
            Bounds::within(budget),
            |it| {
                seen.push((it.pid, it.fd, it.inode));
                if seen.len() == most {
                    Go::Enough
                } else {
                    Go::On
                }
            },
        );
        // Within a folder the order is the file system's.
        seen.sort_unstable();
        (seen, walk.unwrap())
    }

    #[test]
    fn sockets_of_all_processes() {
        let (seen, walk) = seen(BUDGET, usize::MAX);
        assert_eq!(seen, [(9, 7, 100), (20, 3, 100), (20, 4, 101)]);
        let whole = Walk {
            processes: 4,
            looked: 4,
            ..Walk::default()
        };
        assert_eq!((walk, walk.gaps()), (whole, vec![]));
    }

    #[test]
    fn enough_and_time_up() {
        let (first, walk) = seen(BUDGET, 1);
        assert_eq!(first, [(9, 7, 100)]);
        // Those of processes 7 and 8; that of process 9 had more.
        assert_eq!((walk.looked, walk.stopped_at), (2, None));
        let (none, walk) = seen(Duration::ZERO, 1);
        assert_eq!(none, []);
        assert_eq!(
            walk.gaps(),
            [
                "time was up at process 7: descriptors of 4 of 4 processes were not looked at, or not all of them"
            ]
        );
    }

    #[test]
    fn no_more_of_a_process_than_is_wanted() {
        let bounds = Bounds {
            time: BUDGET,
            of_process: 1,
        };
        let mut seen = 0;
        let walk = sockets(fixture().path(), Order::Oldest, bounds, |_| {
            seen += 1;
            Go::On
        });
        let walk = walk.unwrap();
        // Each of 8, 9 and 20 had one looked at; 8 has two more, and 20 has too. What is no number is no descriptor.
        assert_eq!((walk.cut, walk.looked), (2, 4));
        assert!(seen <= 2, "{seen}");
    }

    #[test]
    fn no_procfs_is_an_error() {
        let walk = sockets(
            Path::new("/nonexistent"),
            Order::Oldest,
            Bounds::within(BUDGET),
            |_| Go::On,
        );
        assert!(walk.is_err());
    }

    #[test]
    fn this_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let own = i32::try_from(std::process::id()).unwrap();
        for order in [Order::Oldest, Order::Largest] {
            let mut found = None;
            sockets(Path::new("/proc"), order, Bounds::within(BUDGET), |it| {
                if (it.pid, it.fd) == (own, fd) {
                    found = Some(it.inode);
                }
                Go::On
            })
            .unwrap();
            let stat = fs::fstat(&listener).unwrap();
            assert_eq!(found.map(u64::from), Some(stat.st_ino));
        }
    }
}
