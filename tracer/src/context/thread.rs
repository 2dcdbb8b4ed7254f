//! What one thread does, from the texts of `/proc/PID/task/TID`: `stat`, `wchan`, `syscall` and `schedstat`
//! (`Documentation/filesystems/proc.rst`; `proc_pid_syscall` of `fs/proc/base.c`). Pure.
//!
//! The system call says what a thread asked for, and its arguments on what; the wait channel says where in the kernel it stands. The
//! system call is the better witness, and where it may not be read (it needs the rights of a debugger) the wait channel stands in.

use crate::{indicators::netstat::number, report::context::Wait};

/// What `stat` says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// `R`, `S`, `D`, `T`, `t`, `Z`, …
    pub letter: char,
    /// Time that it waited for block devices, in clock ticks; 0 also where the kernel does not account it.
    pub block_ticks: Option<u64>,
}

impl State {
    /// Reads the text. The name of the program, in parentheses, may hold anything, parentheses and line breaks included.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let letter = fields.next()?.chars().next()?;
        // The 42nd field, and the state is the third.
        let block_ticks = fields.nth(38).and_then(number);
        Some(Self {
            letter,
            block_ticks,
        })
    }
}

/// What `schedstat` says of a thread, in nanoseconds (`Documentation/scheduler/sched-stats.rst`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    /// Time on a CPU.
    pub run_ns: u64,
    /// Time in a run queue.
    pub delay_ns: u64,
}

impl Scheduled {
    /// Reads the text. A kernel that keeps no such statistics writes zeros: a thread that never ran cannot be seen.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace().map(number);
        let (run_ns, delay_ns, times) = (words.next()??, words.next()??, words.next()??);
        (times > 0 || run_ns > 0).then_some(Self { run_ns, delay_ns })
    }
}

/// The system call that a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syscall {
    /// Its number.
    pub number: i64,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Syscall {
    /// Reads the text; `None` for a thread that runs (`running`), that stands in no system call (`-1`), and for one of a 32-bit
    /// program, whose numbers are others: its stack lies below 4 GiB.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let number: i64 = words.next()?.parse().ok().filter(|number| *number >= 0)?;
        let mut hex = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = hex()?;
        }
        let stack = hex()?;
        (stack > u64::from(u32::MAX)).then_some(Self { number, arguments })
    }

    /// The descriptor that it reads or writes, where only the kind of the file tells what is waited for.
    #[must_use]
    pub fn descriptor(&self) -> Option<u32> {
        let by_file = [
            libc::SYS_read,
            libc::SYS_readv,
            libc::SYS_write,
            libc::SYS_writev,
        ];
        by_file
            .contains(&self.number)
            .then(|| u32::try_from(self.arguments[0]).ok())?
    }
}

/// What is known of a thread at one look.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Its state.
    pub state: State,
    /// Its wait channel; `None` where it may not be read, or there is none.
    pub channel: Option<&'a str>,
    /// Its system call; `None` where it may not be read, or there is none.
    pub syscall: Option<Syscall>,
    /// Whether the file that it reads or writes is a socket; `None` where that is not known.
    pub is_socket: Option<bool>,
    /// The threads of its process.
    pub siblings: &'a [i32],
}

/// The name in `wchan`; `None` for `0`, which stands for none and for one that may not be read.
#[must_use]
pub fn channel(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|name| !name.is_empty() && *name != "0")
}

/// What a thread does; with the lock that it waits for, where that can be told apart from others.
#[must_use]
pub fn classify(look: &Look<'_>) -> (Wait, Option<u64>) {
    let channel = look.channel.unwrap_or_default();
    match look.state.letter {
        'R' => return (Wait::Running, None),
        'T' | 't' => return (Wait::Stopped, None),
        'D' => return uninterruptible(channel),
        'S' => {}
        _ => return (Wait::Other, None),
    }
    // The freezer of cgroups keeps tasks in an ordinary sleep.
    if FROZEN.contains(&channel) {
        return (Wait::Stopped, None);
    }
    match look.syscall {
        Some(syscall) if syscall.number != libc::SYS_restart_syscall => by_syscall(&syscall, look),
        _ => (by_channel(channel), None),
    }
}

/// Wait channels of a frozen task.
const FROZEN: [&str; 3] = ["do_freezer_trap", "__refrigerator", "cgroup_leave_frozen"];

/// Parts of the names of wait channels in which a task waits for memory to be reclaimed.
const MEMORY: [&str; 9] = [
    "mem_cgroup",
    "memcg",
    "reclaim",
    "shrink_",
    "throttle_direct",
    "congestion_wait",
    "oom",
    "compact",
    "kswapd",
];

/// The same of locks of the kernel.
const KERNEL_LOCKS: [&str; 6] = [
    "rwsem_",
    "mutex_lock",
    "__mutex",
    "rwbase_",
    "percpu_rwsem",
    "__lock_sock",
];

fn uninterruptible(channel: &str) -> (Wait, Option<u64>) {
    let any = |names: &[&str]| names.iter().any(|name| channel.contains(name));
    let kind = match channel {
        _ if any(&MEMORY) => Wait::Memory,
        _ if any(&KERNEL_LOCKS) => Wait::KernelLock,
        _ => Wait::Disk,
    };
    (kind, None)
}

/// `FUTEX_CMD_MASK` of `include/uapi/linux/futex.h`.
const FUTEX_COMMAND: u64 = 0x7f;
/// `FUTEX_LOCK_PI` and `FUTEX_LOCK_PI2`.
const LOCK_PI: [u64; 2] = [6, 13];
/// The value of a futex that is a mutex for which somebody waits: what U. Drepper's "Futexes Are Tricky" calls 2, and glibc, the
/// standard library of Rust and the runtime of Go have made theirs by. A condition is not waited for at this value but by chance.
const CONTENDED: u64 = 2;

fn futex(arguments: &[u64; 6], siblings: &[i32]) -> (Wait, Option<u64>) {
    let [address, operation, value, ..] = *arguments;
    // The kernel takes 32 bits of it.
    let value = value & u64::from(u32::MAX);
    let a_sibling = i32::try_from(value).is_ok_and(|tid| tid > 2 && siblings.contains(&tid));
    if LOCK_PI.contains(&(operation & FUTEX_COMMAND)) || value == CONTENDED {
        (Wait::Lock, Some(address))
    } else if a_sibling {
        // A thread's end is told by its id in a futex turning 0 (`pthread_join`).
        (Wait::Join, None)
    } else {
        (Wait::Futex, Some(address))
    }
}

fn by_syscall(syscall: &Syscall, look: &Look<'_>) -> (Wait, Option<u64>) {
    let arguments = &syscall.arguments;
    let kind = match syscall.number {
        libc::SYS_futex => return futex(arguments, look.siblings),
        // Without descriptors these are a way to sleep.
        libc::SYS_poll | libc::SYS_ppoll if arguments[1] == 0 => Wait::Sleep,
        libc::SYS_select | libc::SYS_pselect6 if arguments[0] == 0 => Wait::Sleep,
        libc::SYS_recvfrom
        | libc::SYS_recvmsg
        | libc::SYS_recvmmsg
        | libc::SYS_accept
        | libc::SYS_accept4
        | libc::SYS_poll
        | libc::SYS_ppoll
        | libc::SYS_select
        | libc::SYS_pselect6
        | libc::SYS_epoll_wait
        | libc::SYS_epoll_pwait
        | libc::SYS_epoll_pwait2
        | libc::SYS_io_uring_enter => Wait::Receive,
        libc::SYS_sendto | libc::SYS_sendmsg | libc::SYS_sendmmsg | libc::SYS_connect => Wait::Send,
        libc::SYS_read | libc::SYS_readv if look.is_socket == Some(true) => Wait::Receive,
        libc::SYS_write | libc::SYS_writev if look.is_socket == Some(true) => Wait::Send,
        libc::SYS_sendfile | libc::SYS_splice => by_channel(look.channel.unwrap_or_default()),
        libc::SYS_nanosleep
        | libc::SYS_clock_nanosleep
        | libc::SYS_pause
        | libc::SYS_rt_sigsuspend
        | libc::SYS_rt_sigtimedwait
        | libc::SYS_wait4
        | libc::SYS_waitid => Wait::Sleep,
        libc::SYS_flock | libc::SYS_fcntl => return (Wait::Lock, Some(arguments[0])),
        libc::SYS_semop | libc::SYS_semtimedop => {
            return (Wait::Lock, Some(arguments[0] | 1 << 63));
        }
        libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_sync
        | libc::SYS_syncfs
        | libc::SYS_msync => Wait::Disk,
        _ => Wait::Other,
    };
    (kind, None)
}

fn by_channel(channel: &str) -> Wait {
    let any = |names: &[&str]| names.iter().any(|name| channel.contains(name));
    match channel {
        _ if any(&["futex"]) => Wait::Futex,
        _ if any(&[
            "nanosleep",
            "sigsuspend",
            "sigtimedwait",
            "do_wait",
            "kernel_wait",
            "_sys_pause",
        ]) =>
        {
            Wait::Sleep
        }
        _ if any(&[
            "sk_stream_wait_memory",
            "sock_wait_for_wmem",
            "sock_alloc_send",
        ]) =>
        {
            Wait::Send
        }
        _ if any(&[
            "epoll",
            "ep_poll",
            "sys_poll",
            "poll_schedule",
            "do_select",
            "csk_accept",
            "recvmsg",
            "sk_wait_data",
            "wait_for_more_packets",
        ]) =>
        {
            Wait::Receive
        }
        _ if any(&["lock_inode_wait", "semtimedop"]) => Wait::Lock,
        _ => Wait::Other,
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
