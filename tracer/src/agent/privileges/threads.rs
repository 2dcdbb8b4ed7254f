//! Gives capabilities back on every thread of this process. There is no system call that does so for another thread; as the C
//! library does for setuid(2), each thread gets a signal, and does it itself in the handler.

use std::{
    fs, io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// For all threads together; one that sleeps in the kernel without hearing signals takes its time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// What the handler is to keep.
static KEEP: AtomicU64 = AtomicU64::new(0);
/// One at a time.
static DROPPING: Mutex<()> = Mutex::new(());

/// What was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// What every thread still has.
    pub kept: CapabilitySet,
    /// Whether programs that are run could still get others: without `CAP_SETPCAP` the bounding set stays, and no_new_privs alone
    /// prevents it.
    pub bounding_set_stays: bool,
    /// How many threads there were.
    pub threads: usize,
}

/// On every thread: keeps no capability but these, in the permitted and effective sets, none in the inheritable and ambient sets; takes
/// the others out of the bounding set, as far as `CAP_SETPCAP` is held; and forbids new privileges (prctl(2), `PR_SET_NO_NEW_PRIVS`).
/// Threads that are made later inherit that. It cannot be taken back.
///
/// # Errors
/// When a thread has more than that afterwards, or it cannot be told.
pub fn drop_all(keep: CapabilitySet) -> anyhow::Result<Dropped> {
    let _one = DROPPING.lock().unwrap_or_else(PoisonError::into_inner);
    KEEP.store(keep.bits(), Ordering::SeqCst);
    let signal = libc::SIGRTMAX() - 1;
    install(signal).context("cannot handle a signal")?;
    drop_here(keep).context("cannot give capabilities back")?;
    let end = Instant::now() + PATIENCE;
    loop {
        let threads = threads().context("cannot tell which threads there are")?;
        let behind: Vec<&Thread> = threads.iter().filter(|it| !it.is_done(keep)).collect();
        if behind.is_empty() {
            let bounding = threads.iter().fold(0, |all, it| all | it.bounding);
            return Ok(Dropped {
                kept: capabilities(None)?.permitted,
                bounding_set_stays: bounding & !keep.bits() != 0,
                threads: threads.len(),
            });
        }
        if Instant::now() >= end {
            let names: Vec<&str> = behind.iter().map(|it| it.name.as_str()).collect();
            bail!("threads keep capabilities: {}", names.join(", "));
        }
        for thread in behind {
            // SAFETY: no pointers; a thread that has just ended gets nothing.
            unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread.id, signal) };
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// What `/proc/self/task/TID/status` says of a thread.
struct Thread {
    id: i32,
    name: String,
    /// Permitted, effective, inheritable and ambient, together.
    any: u64,
    bounding: u64,
    no_new_privs: bool,
}

impl Thread {
    fn is_done(&self, keep: CapabilitySet) -> bool {
        self.any & !keep.bits() == 0 && self.no_new_privs
    }

    fn parse(id: i32, status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
        };
        let set = |name: &str| u64::from_str_radix(field(name)?, 16).ok();
        Some(Self {
            id,
            name: field("Name:")?.to_owned(),
            any: set("CapInh:")? | set("CapPrm:")? | set("CapEff:")? | set("CapAmb:")?,
            bounding: set("CapBnd:")?,
            no_new_privs: field("NoNewPrivs:")? == "1",
        })
    }
}

fn threads() -> io::Result<Vec<Thread>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir("/proc/self/task")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match fs::read_to_string(format!("/proc/self/task/{id}/status")) {
            Ok(status) => {
                let thread = Thread::parse(id, &status);
                threads.push(thread.ok_or_else(|| io::Error::other("a status without sets"))?);
            }
            // It has ended.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(threads)
}

fn install(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: all zeroes are a valid sigaction; its fields are set next.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the pointers are to a local that outlives the calls; the handler calls nothing but what signal-safety(7) allows.
    let installed = unsafe {
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    match installed {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes system calls alone, without memory of its own. What fails is seen in the thread's status.
extern "C" fn on_signal(_: libc::c_int) {
    // SAFETY: errno belongs to this thread; what the signal interrupts may be about to read it.
    let errno = unsafe { *libc::__errno_location() };
    let _ = drop_here(CapabilitySet::from_bits_retain(KEEP.load(Ordering::SeqCst)));
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

fn drop_here(keep: CapabilitySet) -> rustix::io::Result<()> {
    let held = capabilities(None)?;
    // First, while CAP_SETPCAP is still there; a number that the kernel does not know is an error that says no more than that.
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if !keep.contains(one) {
            let _ = remove_capability_from_bounding_set(one);
        }
    }
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: held.permitted & keep,
            permitted: held.permitted & keep,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    set_no_new_privs(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_the_kernel_writes_it() {
        let status = "Name:\ttokio\nUmask:\t0022\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000000000004\n\
            CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\n";
        let thread = Thread::parse(7, status).unwrap();
        assert_eq!(
            (thread.any, thread.bounding),
            (0x1ff_ffff_ffff, 0x1ff_ffff_ffff)
        );
        assert!(
            !thread.is_done(CapabilitySet::from_bits_retain(!0)),
            "new privileges are not forbidden"
        );
        let done = status.replace("NoNewPrivs:\t0", "NoNewPrivs:\t1");
        let done = Thread::parse(7, &done).unwrap();
        assert!(done.is_done(CapabilitySet::from_bits_retain(!0)));
        assert!(!done.is_done(CapabilitySet::BPF));
        for missing in [
            "CapInh:",
            "CapPrm:",
            "CapEff:",
            "CapAmb:",
            "CapBnd:",
            "NoNewPrivs:",
            "Name:",
        ] {
            assert!(
                Thread::parse(7, &status.replace(missing, "X:")).is_none(),
                "{missing}"
            );
        }
    }
}
