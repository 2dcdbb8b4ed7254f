//! The system calls that the lab needs and the standard library lacks: namespaces, signals, polling and a few
//! socket options. Each wrapper checks its return value and gives an `io::Error`.

use std::ffi::CString;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set by SIGTERM and SIGINT once [`catch_stop`] was called.
static STOP: AtomicBool = AtomicBool::new(false);

/// Turns a system call's -1 into the error that it left in `errno`.
pub fn cvt(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

extern "C" fn on_stop(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// Makes SIGTERM and SIGINT set a flag, so that a recipe can print its result before it ends.
pub fn catch_stop() -> io::Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: sigaction is plain data; all zeroes is an empty mask and no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_stop as extern "C" fn(libc::c_int) as usize;
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        cvt(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// Whether a stop was asked for.
#[must_use]
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Sleeps until a stop is asked for.
pub fn wait_for_stop() {
    while !stopped() {
        // Ended by the signal, unlike a sleep of the standard library. One that came just before costs a second; two hundred who wait cost little.
        // SAFETY: no descriptors are given.
        unsafe { libc::poll(std::ptr::null_mut(), 0, 1000) };
    }
}

/// Sends a signal to one process.
pub fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill has no memory effects in this process.
    cvt(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Waits until one of the descriptors is readable or the time is over; true if one is. A signal ends the wait.
pub fn readable(fds: &[RawFd], wait: Duration) -> io::Result<bool> {
    let mut polls: Vec<libc::pollfd> = fds
        .iter()
        .map(|&fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let millis = libc::c_int::try_from(wait.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the length describe `polls`, which outlives the call.
    let result = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, millis) };
    match cvt(result) {
        Ok(count) => Ok(count > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// An address as the kernel takes it.
fn sockaddr(of: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: of.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: of.ip().to_bits().to_be(),
        },
        sin_zero: [0; 8],
    }
}

/// Gives a socket its local address.
pub fn bind(socket: &impl AsRawFd, at: SocketAddrV4) -> io::Result<()> {
    let address = sockaddr(at);
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `address`, which outlives the call.
    cvt(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size) }).map(drop)
}

/// Connects a socket.
pub fn connect(socket: &impl AsRawFd, to: SocketAddrV4) -> io::Result<()> {
    let address = sockaddr(to);
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `address`, which outlives the call.
    cvt(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) }).map(drop)
}

/// Sets a socket option whose value is an int.
pub fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and the size describe `value`, which outlives the call.
    cvt(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size,
        )
    })
    .map(drop)
}

/// Bytes that wait in a socket's receive queue and that a read would give (`FIONREAD`).
pub fn unread(socket: &impl AsRawFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int to the pointer.
    cvt(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    usize::try_from(bytes).map_err(io::Error::other)
}

/// Raises the soft limit of open files to the hard limit: a leak needs many descriptors. As root, to 262,144.
pub fn raise_open_files() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live rlimit.
    cvt(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let wanted = libc::rlimit {
        rlim_cur: 262_144,
        rlim_max: limit.rlim_max.max(262_144),
    };
    // SAFETY: the pointer is to a live rlimit; the call only reads it.
    if cvt(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) }).is_err() {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: as above.
        cvt(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    }
    Ok(())
}

/// Moves the calling thread into the network namespace behind the descriptor.
pub fn enter_netns(netns: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setns only changes the calling thread's namespace.
    cvt(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Makes a connection end in a reset when it is closed.
pub fn reset_on_close(socket: &impl AsRawFd) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let size = size_of_val(&linger) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `linger`, which outlives the call.
    cvt(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    })
    .map(drop)
}

/// `CAP_SYS_PTRACE` of `linux/capability.h`, as a bit of a set.
pub const CAP_SYS_PTRACE: u64 = 1 << 19;

/// Takes all capabilities but these away from what this process starts.
pub fn bound_capabilities(kept: u64) -> io::Result<()> {
    for number in (0..u64::BITS).filter(|number| kept & (1 << number) == 0) {
        // SAFETY: prctl with these arguments only changes a set of the calling thread.
        let dropped = cvt(unsafe {
            libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0)
        });
        match dropped {
            // There are no more.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            dropped => drop(dropped?),
        }
    }
    Ok(())
}

/// A process as a descriptor.
pub fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// A descriptor of another process, as one of ours.
pub fn pidfd_getfd(process: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// What a system call made.
fn owned(made: libc::c_long) -> io::Result<OwnedFd> {
    let made = cvt(libc::c_int::try_from(made).map_err(io::Error::other)?)?;
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Gives the calling thread a new, empty network namespace.
pub fn new_netns() -> io::Result<()> {
    // SAFETY: unshare only changes the calling thread's namespace.
    cvt(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map(drop)
}

/// Sets the loopback device of this process's network namespace up, as `ip link set lo up` does.
pub fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all-zero bytes are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    // SAFETY: the request names a device and has room for its flags.
    cvt(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the call before has written this member of the union.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    // SAFETY: as above.
    cvt(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
        .map(drop)
}

/// Asks the kernel to kill this process when the thread that started it ends: no workload outlives its test.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: prctl with these arguments only sets a field of the process.
    cvt(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: geteuid cannot fail and touches no memory.
    unsafe { libc::geteuid() == 0 }
}

/// Sets the wall clock forward, or back, as an administrator or a time service may at any moment.
pub fn step_clock(by: Duration, forward: bool) -> io::Result<()> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the struct is ours.
    cvt(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now) })?;
    let by = libc::time_t::try_from(by.as_secs()).map_err(io::Error::other)?;
    now.tv_sec += if forward { by } else { -by };
    // SAFETY: the same.
    cvt(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const now) }).map(drop)
}

/// Mounts a tmpfs.
pub fn mount_tmpfs(at: &Path, options: &str) -> io::Result<()> {
    let (at, options) = (path(at)?, CString::new(options)?);
    // SAFETY: all strings end with a zero and outlive the call.
    cvt(unsafe {
        libc::mount(
            c"tmpfs".as_ptr(),
            at.as_ptr(),
            c"tmpfs".as_ptr(),
            0,
            options.as_ptr().cast(),
        )
    })
    .map(drop)
}

/// Unmounts what is mounted there.
pub fn unmount(at: &Path) -> io::Result<()> {
    let at = path(at)?;
    // SAFETY: the string ends with a zero and outlives the call.
    cvt(unsafe { libc::umount(at.as_ptr()) }).map(drop)
}

/// Ends this virtual machine at once: nothing that is only in memory reaches a disk. Before that its host is told, by the port that its init
/// has for such words; without that, what follows would be a failure of the machine.
///
/// # Errors
/// When there is no such port, or the kernel does not do it.
pub fn crash() -> io::Result<()> {
    use std::io::Write as _;
    let mut host = std::fs::OpenOptions::new().write(true).open("/dev/ttyS3")?;
    host.write_all(b"crash\n")?;
    // SAFETY: the descriptor is open.
    cvt(unsafe { libc::tcdrain(host.as_raw_fd()) })?;
    std::fs::write("/proc/sysrq-trigger", "b")
}

fn path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}
