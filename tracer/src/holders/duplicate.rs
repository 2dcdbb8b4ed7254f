//! What a descriptor of another process tells of its socket: it is duplicated for an instant, asked, and closed again.
//!
//! **What a duplicate does.** `pidfd_getfd` (Linux 5.6) takes one more reference to the open file and changes nothing of the socket.
//! But if the application closes its descriptor within that instant, ours is the last one: the connection then ends some
//! microseconds later, when ours is dropped, in our context, and an application that waits for it (`SO_LINGER`) has us wait in its stead. So it lives for
//! the few calls below and no longer, and a socket that a table lists is never duplicated.
//!
//! **Locks.** `SO_MEMINFO`, `SO_PROTOCOL`, `SO_COOKIE` and `poll` take none of the socket (`sk_getsockopt`, `tcp_poll`). State, payload and ends do
//! (`tcp_get_info`, `tcp_ioctl`, `inet_getname`). They are asked only of a socket that is dead, as `poll` says: it is in no table, so no
//! packet can come that would have to wait. Nothing asked here resets anything; `SO_ERROR` would.

use std::{
    collections::HashMap,
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::{
    descriptors::SocketFd,
    diag,
    socket::{Socket, TcpState},
};
use crate::indicators::netns::link_inum;

/// Offset of `tcpi_last_data_recv` in `tcp_info` (`include/uapi/linux/tcp.h`), in milliseconds; `tcpi_state` is the first byte.
const LAST_DATA_RECV: usize = 52;
/// `SIOCGSKNS` (`include/uapi/linux/sockios.h`): a descriptor of the socket's network namespace.
const SIOCGSKNS: libc::c_ulong = 0x894c;
/// A socket's remote end, as `SO_PEERNAME` tells it even where `getpeername` says that nothing is connected.
const SO_PEERNAME: libc::c_int = 28;
/// The nine numbers of `sk_get_meminfo`.
const SO_MEMINFO: libc::c_int = 55;

/// Why a process or a descriptor cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is gone, or somebody else by now.
    Gone,
    /// `pidfd_getfd` is not permitted: it takes the right to trace the process.
    Denied,
    /// The process ids of this procfs are those of another PID namespace than ours.
    OtherNamespace,
    /// Anything else, such as no descriptors left.
    Failed(Errno),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::SRCH | Errno::BADF => Self::Gone,
            Errno::PERM | Errno::ACCESS => Self::Denied,
            other => Self::Failed(other),
        }
    }
}

/// What a descriptor was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A TCP socket in no table.
    Dead(Socket),
    /// A TCP socket that has come to life since tables were read, or one of another protocol.
    Other,
}

/// A process whose descriptors may be duplicated.
pub(super) struct Process {
    process: OwnedFd,
    /// Inode number of its network namespace.
    netns: Option<u32>,
}

impl Process {
    /// By its id in a procfs.
    pub(super) fn open(proc: &Path, pid: i32) -> Result<Self, Refusal> {
        let number = Pid::from_raw(pid).ok_or(Refusal::Gone)?;
        let process = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(process) => process,
            // Of another PID namespace, its number may mean nobody here.
            Err(Errno::SRCH) if proc.join(pid.to_string()).exists() => {
                return Err(Refusal::OtherNamespace);
            }
            Err(error) => return Err(error.into()),
        };
        // The same procfs must know it by the same number, or it is somebody else.
        let info = proc.join(format!("self/fdinfo/{}", process.as_raw_fd()));
        match fs::read_to_string(info) {
            Ok(info) if pid_in(&info) == Some(pid) => Ok(Self {
                process,
                netns: fs::read_link(proc.join(format!("{pid}/ns/net")))
                    .ok()
                    .and_then(|target| link_inum(target.to_str()?)),
            }),
            Ok(info) if pid_in(&info) == Some(-1) => Err(Refusal::Gone),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Refusal::Denied),
            _ => Err(Refusal::OtherNamespace),
        }
    }
}

/// The line `Pid` of the `fdinfo` of a descriptor of a process (`pidfd_show_fdinfo`); -1 when it has ended.
fn pid_in(fdinfo: &str) -> Option<i32> {
    let mut lines = fdinfo.lines();
    let pid = lines.find_map(|line| line.strip_prefix("Pid:"))?;
    pid.trim().parse().ok()
}

/// Asks descriptors, and remembers which cookie means which network namespace.
#[derive(Default)]
pub(super) struct Asker {
    namespaces: HashMap<u64, u32>,
}

impl Asker {
    /// Duplicates a descriptor, asks its socket, and drops it.
    pub(super) fn ask(&mut self, process: &Process, it: SocketFd) -> Result<Found, Refusal> {
        let socket = pidfd_getfd(&process.process, it.fd, PidfdGetfdFlags::empty())?;
        // Closed and opened anew meanwhile, it is another one.
        let inode = rustix::fs::fstat(&socket)?.st_ino;
        if inode != u64::from(it.inode) {
            return Err(Refusal::Gone);
        }
        Ok(match self.dead(&socket, it.inode) {
            Some(mut socket) => {
                if socket.netns_inum == 0 {
                    socket.netns_inum = process.netns.unwrap_or(0);
                }
                Found::Dead(socket)
            }
            None => Found::Other,
        })
    }

    fn dead(&mut self, fd: &OwnedFd, inode: u32) -> Option<Socket> {
        let protocol = option::<4>(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)?;
        if i32::from_ne_bytes(protocol) != libc::IPPROTO_TCP || !hung_up(fd) {
            return None;
        }
        let memory = diag::memory(&option::<36>(fd, libc::SOL_SOCKET, SO_MEMINFO)?);
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let mut socket = Socket {
            netns_inum: self.namespace(fd).unwrap_or(0),
            local: nowhere,
            remote: nowhere,
            state: TcpState::Close,
            inode,
            cookie: option(fd, libc::SOL_SOCKET, libc::SO_COOKIE).map_or(0, u64::from_ne_bytes),
            cgroup_id: None,
            memory,
            clamped: None,
            idle_ms: None,
            listed: false,
            unread: 0,
            unsent: 0,
        };
        // One that holds nothing may be of any kind, mostly one that was made and not used yet.
        if socket.held() == 0 {
            return Some(socket);
        }
        let info = option::<104>(fd, libc::IPPROTO_TCP, libc::TCP_INFO)?;
        if TcpState::from_number(info[0]) != TcpState::Close {
            return None;
        }
        let idle = info[LAST_DATA_RECV..].first_chunk().copied();
        socket.idle_ms = idle.map(u32::from_ne_bytes);
        socket.unread = unread(fd).unwrap_or(0);
        socket.local = local(fd).unwrap_or(nowhere);
        socket.remote = remote(fd).unwrap_or(nowhere);
        Some(socket)
    }

    /// Inode number of the socket's network namespace.
    fn namespace(&mut self, fd: &OwnedFd) -> Option<u32> {
        // Linux 5.14.
        let cookie = option(fd, libc::SOL_SOCKET, libc::SO_NETNS_COOKIE).map(u64::from_ne_bytes);
        if let Some(inum) = cookie.and_then(|cookie| self.namespaces.get(&cookie)) {
            return Some(*inum);
        }
        // SAFETY: the descriptor is open for the call, which takes no memory of ours.
        let namespace = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCGSKNS as _, 0) };
        if namespace < 0 {
            return None;
        }
        // SAFETY: the kernel has just made it, for us alone.
        let namespace = unsafe { OwnedFd::from_raw_fd(namespace) };
        let inum = u32::try_from(rustix::fs::fstat(&namespace).ok()?.st_ino).ok()?;
        if let Some(cookie) = cookie {
            self.namespaces.insert(cookie, inum);
        }
        Some(inum)
    }
}

/// Whether the connection is dead, or was shut down in both directions.
fn hung_up(fd: &OwnedFd) -> bool {
    let mut polls = [PollFd::new(fd, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polls, Some(&now)).is_ok() && polls[0].revents().contains(PollFlags::HUP)
}

/// An option of a fixed size; `None` when the kernel does not tell that many bytes.
fn option<const N: usize>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int) -> Option<[u8; N]> {
    let mut value = [0; N];
    let mut size = libc::socklen_t::try_from(N).ok()?;
    // SAFETY: the pointers are to locals that outlive the call, and `size` is that of `value`.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    (answer == 0 && usize::try_from(size) == Ok(N)).then_some(value)
}

/// Payload that nobody has read.
fn unread(fd: &OwnedFd) -> Option<u32> {
    let mut count: libc::c_int = 0;
    // SAFETY: the pointer is to a local that outlives the call, of the size that FIONREAD writes.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    (answer == 0).then_some(count)?.try_into().ok()
}

fn local(fd: &OwnedFd) -> Option<SocketAddr> {
    let mut name = [0_u8; 28];
    let mut size = libc::socklen_t::try_from(name.len()).ok()?;
    // SAFETY: the pointers are to locals that outlive the call, and `size` is that of `name`.
    let answer =
        unsafe { libc::getsockname(fd.as_raw_fd(), name.as_mut_ptr().cast(), &raw mut size) };
    (answer == 0).then(|| end(&name))?
}

fn remote(fd: &OwnedFd) -> Option<SocketAddr> {
    // The kernel refuses to tell less than was asked for.
    match option::<28>(fd, libc::SOL_SOCKET, SO_PEERNAME) {
        Some(name) => end(&name),
        None => end(&option::<16>(fd, libc::SOL_SOCKET, SO_PEERNAME)?),
    }
}

/// A `sockaddr_in` or `sockaddr_in6`.
fn end(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes(*name.get(2..)?.first_chunk()?);
    let ip: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(*name.get(4..)?.first_chunk::<4>()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(*name.get(8..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}
