//! Sockets that no table lists: found by the descriptors that lead to them.
//!
//! A connection that is reset by its peer while data is unread leaves every table (`tcp_done`), and so the sight of `sock_diag`, of
//! `/proc/net/tcp` and of `ss`, but keeps its queues until its application closes the descriptor. Only that descriptor leads to it.
//! Every process's are gone through; what is no socket of TCP is passed over by the name of its protocol (an extended
//! attribute of the socket's file, which opens nothing), and the rest is duplicated and asked.
//!
//! **Why not the BPF iterator `iter/task_file`.** It needs neither duplicates nor the right to trace a process, but it needs BPF, so a node that
//! cannot be traced would be blind for a leak; this way works on each. The price is `CAP_SYS_PTRACE`.
//!
//! The search runs on a thread of its own, and is given up when its time is over, whatever it waits for.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    descriptors::{self, Bounds, Go, Order, SocketFd, Walk},
    duplicate::{Asker, Found, Process, Refusal},
    progress::Progress,
    socket::Socket,
};

/// How long the thread may be late before it is given up.
const GRACE: Duration = Duration::from_millis(500);
/// Between two words on how far it is.
const TURN: Duration = Duration::from_millis(200);

/// What a search brought.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Dead sockets.
    pub(super) sockets: Vec<Socket>,
    /// In words: what could not be seen.
    pub(super) gaps: Vec<String>,
}

/// What the thread says.
enum Message {
    Socket(Socket),
    End(Vec<String>),
}

/// Looks for sockets beside the listed ones, until as many are found as are wanted, or the time is up.
pub(super) fn search(
    proc: &Path,
    listed: HashSet<u32>,
    wanted: u64,
    budget: Duration,
    progress: &Progress<'_>,
) -> Search {
    let mut search = Search::default();
    let (messages, inbox) = mpsc::channel();
    let at = Arc::new(AtomicI32::new(0));
    let seeker = Seeker {
        proc: proc.to_owned(),
        known: listed,
        wanted,
        messages,
        at: Arc::clone(&at),
        asker: Asker::default(),
        process: None,
        found: 0,
        refused: Refused::default(),
    };
    let thread = thread::Builder::new().name("descriptors".into());
    if let Err(error) = thread.spawn(move || seeker.run(budget)) {
        search.gaps.push(format!(
            "no thread to look for sockets in no table: {error}"
        ));
        return search;
    }
    let end = Instant::now() + budget + GRACE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match inbox.recv_timeout(left.min(TURN)) {
            Ok(Message::Socket(socket)) => search.sockets.push(socket),
            Ok(Message::End(gaps)) => {
                search.gaps = gaps;
                return search;
            }
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => {
                let pid = at.load(Ordering::Relaxed);
                search.gaps.push(format!(
                    "of {wanted} sockets in no table {} were found: the search hung at process {pid} and was given up",
                    search.sockets.len()
                ));
                return search;
            }
        }
        progress.tell(|| {
            format!(
                "looking for sockets in no table: process {}, {} of {wanted} found",
                at.load(Ordering::Relaxed),
                search.sockets.len()
            )
        });
    }
}

/// Descriptors of TCP sockets in no table that could not be asked.
#[derive(Default)]
struct Refused {
    count: u64,
    /// One process that has some.
    pid: i32,
    /// Why, of the last.
    why: Option<Refusal>,
    /// Sockets whose protocol was not told.
    nameless: u64,
}

/// The thread that looks.
struct Seeker {
    proc: PathBuf,
    /// Inodes that need not be looked at: listed, or seen.
    known: HashSet<u32>,
    wanted: u64,
    messages: Sender<Message>,
    at: Arc<AtomicI32>,
    asker: Asker,
    /// The process that is being looked at.
    process: Option<(i32, Result<Process, Refusal>)>,
    found: u64,
    refused: Refused,
}

impl Seeker {
    fn run(mut self, budget: Duration) {
        let proc = self.proc.clone();
        let walk = descriptors::sockets(&proc, Order::Largest, Bounds::within(budget), |it| {
            self.look(it)
        });
        let gaps = match walk {
            Ok(walk) => self.gaps(&walk),
            Err(error) => vec![format!("{} cannot be listed: {error}", proc.display())],
        };
        // Nobody listens any more where the search was given up.
        let _ = self.messages.send(Message::End(gaps));
    }

    fn look(&mut self, it: SocketFd) -> Go {
        if !self.known.insert(it.inode) {
            return Go::On;
        }
        self.at.store(it.pid, Ordering::Relaxed);
        match is_tcp(&self.proc, it) {
            Some(true) => {}
            Some(false) => return Go::On,
            None => {
                self.refused.nameless += 1;
                return Go::On;
            }
        }
        match self.ask(it) {
            Ok(Found::Dead(socket)) => {
                self.found += 1;
                if self.messages.send(Message::Socket(socket)).is_err() {
                    return Go::Enough;
                }
            }
            Ok(Found::Other) | Err(Refusal::Gone) => {}
            Err(why) => {
                self.refused.count += 1;
                self.refused.pid = it.pid;
                self.refused.why = Some(why);
            }
        }
        if self.found >= self.wanted {
            return Go::Enough;
        }
        Go::On
    }

    fn ask(&mut self, it: SocketFd) -> Result<Found, Refusal> {
        if self.process.as_ref().is_none_or(|(pid, _)| *pid != it.pid) {
            self.process = Some((it.pid, Process::open(&self.proc, it.pid)));
        }
        match &self.process {
            Some((_, Ok(process))) => self.asker.ask(process, it),
            Some((_, Err(refusal))) => Err(*refusal),
            None => Err(Refusal::Gone),
        }
    }

    fn gaps(&self, walk: &Walk) -> Vec<String> {
        let mut gaps = walk.gaps();
        let refused = &self.refused;
        if let Some(why) = refused.why {
            let why = match why {
                Refusal::OtherNamespace => {
                    "its process ids are those of another PID namespace (run with hostPID)".to_owned()
                }
                Refusal::Failed(error) => format!("pidfd_getfd: {error}"),
                Refusal::Denied | Refusal::Gone => {
                    "pidfd_getfd is not permitted (CAP_SYS_PTRACE, a seccomp filter, or kernel.yama.ptrace_scope)".to_owned()
                }
            };
            gaps.push(format!(
                "{} could not be asked, the last in process {}: {why}",
                refused.count, refused.pid
            ));
        }
        if refused.nameless > 0 {
            gaps.push(format!(
                "the protocol of {} was not told, so they were passed over",
                refused.nameless
            ));
        }
        let found = format!(
            "of {} sockets in no table {} were found",
            self.wanted, self.found
        );
        gaps.iter().map(|gap| format!("{found}: {gap}")).collect()
    }
}

/// Whether a descriptor is one of TCP, or of Multipath TCP, whose listeners accept plain TCP too; `None` when that is not told. The
/// attribute is the name of the protocol (`sockfs_xattr_get`, `net/socket.c`).
fn is_tcp(proc: &Path, it: SocketFd) -> Option<bool> {
    let path = proc.join(format!("{}/fd/{}", it.pid, it.fd));
    let mut name = [0_u8; 32];
    match rustix::fs::getxattr(path, c"system.sockprotoname", &mut name) {
        Ok(length) => {
            let name = name[..length]
                .strip_suffix(b"\0")
                .unwrap_or(&name[..length]);
            let known: [&[u8]; 4] = [b"TCP", b"TCPv6", b"MPTCP", b"MPTCPv6"];
            Some(known.contains(&name))
        }
        // Closed meanwhile, or another file by now.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH | rustix::io::Errno::NOTSUP) => {
            Some(false)
        }
        // Longer than any of these.
        Err(rustix::io::Errno::RANGE) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{SocketAddr, TcpListener, TcpStream},
        os::fd::AsRawFd,
    };

    use super::*;
    use crate::{fixture::Fixture, holders::TcpState};

    const BUDGET: Duration = Duration::from_secs(10);

    fn found(proc: &Path, budget: Duration) -> Search {
        search(proc, HashSet::new(), u64::MAX, budget, &Progress::quiet())
    }

    /// A connection whose peer has sent 1000 bytes and reset it; and the peer's address.
    fn reset(listener: &TcpListener) -> (TcpStream, SocketAddr) {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        client.write_all(&[7; 1000]).unwrap();
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the pointer and the size describe `linger`, which outlives the call.
        let answer = unsafe {
            libc::setsockopt(
                client.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of_val(&linger) as libc::socklen_t,
            )
        };
        assert_eq!(answer, 0);
        drop(client);
        (server, peer)
    }

    #[test]
    fn a_dead_connection_of_this_process() {
        for at in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(at) else {
                crate::skipped::skipped(module_path!(), format_args!("{at}"));
                continue;
            };
            let (server, peer) = reset(&listener);
            // One that lives, and one that was made and not used.
            let alive = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let search = found(Path::new("/proc"), BUDGET);
            let inode = rustix::fs::fstat(&server).unwrap().st_ino;
            let mut dead = search.sockets.iter();
            let dead = dead
                .find(|socket| u64::from(socket.inode) == inode)
                .unwrap();
            assert_eq!((dead.state, dead.listed), (TcpState::Close, false));
            assert_eq!(dead.unread, 1000);
            assert!(dead.memory.unwrap().rmem_alloc > 1000);
            assert_eq!(
                (dead.local, dead.remote),
                (listener.local_addr().unwrap(), peer)
            );
            let link = std::fs::read_link("/proc/self/ns/net").unwrap();
            assert_eq!(link.to_string_lossy(), format!("net:[{}]", dead.netns_inum));
            let inode = rustix::fs::fstat(&alive).unwrap().st_ino;
            let mut all = search.sockets.iter();
            assert!(all.all(|socket| u64::from(socket.inode) != inode));
        }
    }

    #[test]
    fn what_a_duplicate_looks_at_is_not_consumed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut server, _) = reset(&listener);
        found(Path::new("/proc"), BUDGET);
        let mut read = Vec::new();
        // The data first, then the error: as if nobody had looked.
        let error = std::io::Read::read_to_end(&mut server, &mut read).unwrap_err();
        assert_eq!(read, [7; 1000]);
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn time_up_is_a_gap() {
        let search = found(Path::new("/proc"), Duration::ZERO);
        assert_eq!(search.sockets, []);
        let [gap] = search.gaps.as_slice() else {
            panic!("{:?}", search.gaps)
        };
        assert!(
            gap.contains("0 were found: time was up at process "),
            "{gap}"
        );
    }

    #[test]
    fn a_procfs_of_others_is_not_ours_to_duplicate() {
        let own = i32::try_from(std::process::id()).unwrap();
        let proc = Fixture::new();
        // The number of this process, but nothing there says that it is this one.
        proc.file(&format!("{own}/comm"), "other\n");
        let refusal = Process::open(proc.path(), own).err();
        assert_eq!(refusal, Some(Refusal::OtherNamespace));
        // A number that no process has here.
        proc.file("4194303/comm", "other\n");
        let refusal = Process::open(proc.path(), 4_194_303).err();
        assert_eq!(refusal, Some(Refusal::OtherNamespace));
        assert_eq!(Process::open(proc.path(), 0).err(), Some(Refusal::Gone));
    }
}
