//! Moves the calling thread into a network namespace, and asks for its cookie: the system calls.

use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
};

use super::netns::Netns;

/// How an attempt to enter a namespace ended.
#[derive(Debug)]
pub(super) enum Entry {
    /// The thread is in it.
    Inside,
    /// No path leads to it any more.
    Gone,
    /// It is not allowed.
    Denied,
    /// Something else is wrong.
    Failed(io::Error),
}

/// Moves the calling thread, and only it, into the namespace by the first path that still leads there.
/// Only a thread made for that may call it.
pub(super) fn enter(netns: &Netns) -> Entry {
    let mut worst = Entry::Gone;
    for path in &netns.paths {
        match File::open(path).and_then(|file| join(&file, netns.inum)) {
            Ok(true) => return Entry::Inside,
            Ok(false) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT | libc::ESRCH | libc::ENOTDIR) => {}
                Some(libc::EPERM | libc::EACCES) => worst = Entry::Denied,
                _ if matches!(worst, Entry::Denied) => {}
                _ => worst = Entry::Failed(error),
            },
        }
    }
    worst
}

/// `false` when the file is not this namespace (any more).
fn join(file: &File, inum: u32) -> io::Result<bool> {
    if file.metadata()?.ino() != u64::from(inum) || !is_nsfs(file) {
        return Ok(false);
    }
    // SAFETY: the descriptor is open for the call; setns touches no memory of ours.
    if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } == 0 {
        Ok(true)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn is_nsfs(file: &File) -> bool {
    let mut answer = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the kernel fills the whole structure when it returns 0.
    let filled = unsafe { libc::fstatfs(file.as_raw_fd(), answer.as_mut_ptr()) } == 0;
    // SAFETY: filled, as just checked.
    filled && unsafe { answer.assume_init() }.f_type == libc::NSFS_MAGIC
}

/// Cookie of the network namespace that the calling thread is in (`SO_NETNS_COOKIE`, Linux 5.14);
/// `None` where the kernel does not tell.
pub(super) fn cookie() -> Option<u64> {
    // SAFETY: no pointers; any kind of socket belongs to the namespace of its maker.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut cookie = 0_u64;
    let mut size = libc::socklen_t::try_from(size_of_val(&cookie)).ok()?;
    // SAFETY: the pointers are to locals that outlive the call, and `size` is that of `cookie`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut size,
        )
    };
    (answer == 0 && cookie != 0 && usize::try_from(size) == Ok(size_of_val(&cookie)))
        .then_some(cookie)
}
