//! Whose sockets are taken out of `tcp_mem`, and how often that was done.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A process, as `bpf_get_ns_current_pid_tgid` tells one; set once before load.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct OwnProcess {
    /// Device of the file of its PID namespace, as the kernel numbers devices.
    pub pid_namespace_device: u64,
    /// Inode of that file.
    pub pid_namespace_inode: u64,
    /// Its number there.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}
crate::pod!(OwnProcess);

impl OwnProcess {
    /// No process: no namespace has this inode.
    pub const NOBODY: Self = Self {
        pid_namespace_device: 0,
        pid_namespace_inode: 0,
        tgid: 0,
        reserved: 0,
    };
}

/// Cell of the counters: sockets that were exempted.
pub const EXEMPT: u32 = 0;
/// Cell of the counters: sockets that the kernel refused to exempt.
pub const REFUSED: u32 = 1;
