//! One run of one virtual machine: starts QEMU, watches it, and ends it in every case. It knows
//! nothing about what runs inside beyond the news that come over `link`.

use std::{
    fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{
    cache, link,
    link::{News, Readers, Sockets},
};

/// The program.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// How instructions are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// By the processor.
    Kvm,
    /// By translation, all processors of the guest in turn on one thread.
    Translate,
    /// By translation, on as many threads as the guest has processors.
    TranslateInParallel,
    /// By translation, where an instruction takes a nanosecond of the guest's time.
    Count,
}

/// The machine to start.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    /// The kernel's image.
    pub(crate) kernel: &'a Path,
    /// The root archive.
    pub(crate) initrd: &'a Path,
    /// A disk, which is only read: what the guest writes to it is gone with the guest.
    pub(crate) disk: Option<&'a Path>,
    /// A disk that outlives the guest, as a node's does.
    pub(crate) keep: Option<&'a Path>,
    /// How to execute.
    pub(crate) accelerator: Accelerator,
    /// Memory as QEMU reads it.
    pub(crate) memory: &'a str,
    /// Number of processors.
    pub(crate) cpus: u32,
    /// More words for the kernel's command line.
    pub(crate) append: &'a str,
    /// The longest time until the guest says that it is ready.
    pub(crate) boot_limit: Duration,
    /// The longest time that the command may take after that.
    pub(crate) limit: Duration,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The command ended by itself, and left this packed output.
    Ended { status: i32, output: Vec<u8> },
    /// The command said that it would end the machine, and did.
    Crashed,
    /// The command ran into the time limit.
    TimedOut,
    /// The machine failed; the text says what is known.
    Failed {
        /// In words.
        why: String,
        /// Whether the command had started.
        started: bool,
    },
    /// A signal asked us to stop.
    Interrupted,
}

/// The folder of one run, removed with everything in it when the run is over.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder. It is in the place for temporary files because a socket's path is short.
    pub(crate) fn new() -> Result<Self> {
        const PREFIX: &str = "tcpress-vm-";
        let base = std::env::temp_dir();
        // A run that was killed could not remove its own.
        for entry in fs::read_dir(&base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            let owner = owner.and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
                // Another user's cannot be removed, and does not matter.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        // Several machines may run at once.
        static MACHINES: AtomicU32 = AtomicU32::new(0);
        let number = MACHINES.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("{PREFIX}{}-{number}", std::process::id()));
        cache::remove(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// The path of something in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing can be done about a folder that cannot be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ends QEMU when it goes out of scope, whatever the reason.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if QEMU has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the machine to its end and copies its output meanwhile.
pub(crate) fn run(
    machine: &Machine<'_>,
    folder: &Folder,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
) -> Result<Outcome> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Vec::new();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let id = signal_hook::flag::register(signal, Arc::clone(&stop));
        signals.push(id.context("cannot watch for signals")?);
    }
    for name in link::NAMES {
        cache::remove(&folder.path(name))?;
    }
    let outcome = watched(machine, folder, stdout, stderr, &stop);
    for id in signals {
        signal_hook::low_level::unregister(id);
    }
    outcome
}

fn watched(
    machine: &Machine<'_>,
    folder: &Folder,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let sockets = Sockets::bind(&folder.0)?;
    let log = folder.path("qemu.log");
    let child = command(machine, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
        .spawn()
        .with_context(|| format!("cannot start {PROGRAM}"))?;
    let mut guard = Guard(child);
    let readers = match sockets.accept(stdout, stderr, || Ok(guard.0.try_wait()?.is_none())) {
        Ok(readers) => readers,
        Err(error) => {
            return Ok(Outcome::Failed {
                why: format!("{error:#}"),
                started: false,
            });
        }
    };
    let outcome = follow(machine, &mut guard.0, &readers, stop);
    drop(guard);
    readers.finish();
    outcome
}

fn follow(
    machine: &Machine<'_>,
    child: &mut Child,
    readers: &Readers,
    stop: &AtomicBool,
) -> Result<Outcome> {
    let mut deadline = Instant::now() + machine.boot_limit;
    let (mut running, mut crashing) = (false, false);
    let mut ended = None;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Interrupted);
        }
        let news = readers.news.recv_timeout(Duration::from_millis(50));
        match news {
            Ok(News::Ready) => {
                running = true;
                deadline = Instant::now() + machine.limit;
            }
            Ok(News::Crashing) => crashing = true,
            Ok(News::Failed(why)) => {
                return failed(running, &format!("the guest's init failed: {why}"));
            }
            Ok(News::Ended { status, size }) => {
                // A serial port carries some 300 kB a second here; half a minute is for the rest.
                deadline = Instant::now() + Duration::from_secs(30 + size as u64 / 20_000);
                ended = Some((status, size, Vec::new()));
            }
            Ok(News::Output(bytes)) => {
                if let Some((_, _, output)) = &mut ended {
                    *output = bytes;
                }
            }
            // The port is closed: QEMU has ended or is about to.
            Err(RecvTimeoutError::Disconnected) => {
                if child.try_wait()?.is_some() {
                    return match ended {
                        Some((status, size, output)) if output.len() == size => {
                            Ok(Outcome::Ended { status, output })
                        }
                        Some(_) => {
                            failed(running, "the guest ended before all of /share/out was out")
                        }
                        None if crashing => Ok(Outcome::Crashed),
                        None => failed(
                            running,
                            "the guest ended without a word: did its kernel panic?",
                        ),
                    };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() > deadline {
            return match (ended, running) {
                (Some((status, size, output)), _) if output.len() == size => {
                    Ok(Outcome::Ended { status, output })
                }
                (Some(_), _) => failed(running, "the guest did not deliver /share/out"),
                (None, true) => Ok(Outcome::TimedOut),
                (None, false) => failed(
                    running,
                    &format!(
                        "the guest was not ready within {} s",
                        machine.boot_limit.as_secs()
                    ),
                ),
            };
        }
    }
}

fn failed(started: bool, why: &str) -> Result<Outcome> {
    Ok(Outcome::Failed {
        why: why.to_owned(),
        started,
    })
}

/// QEMU, which the kernel ends if we die without having ended it.
fn command(machine: &Machine<'_>, folder: &Folder) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", PROGRAM]);
    command.args(["-M", "q35", "-nodefaults", "-display", "none", "-no-reboot"]);
    let mut cpus = machine.cpus;
    // QEMU 7.2's `-cpu max` panics kernels at random under translation; a named model does not.
    match machine.accelerator {
        Accelerator::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
        // On several threads, QEMU 7.2 now and then runs a breakpoint that the guest's kernel has
        // already taken out of its code again (static keys, probes), and that kernel panics.
        Accelerator::Translate => {
            command.args(["-accel", "tcg,thread=single", "-cpu", "Skylake-Server"])
        }
        Accelerator::TranslateInParallel => {
            command.args(["-accel", "tcg,thread=multi", "-cpu", "Skylake-Server"])
        }
        Accelerator::Count => {
            cpus = 1;
            command.args(["-accel", "tcg", "-cpu", "Skylake-Server"]);
            command.args(["-icount", "shift=0,sleep=off"])
        }
    };
    command.args(["-m", machine.memory, "-smp", &cpus.to_string()]);
    let console = format!("file:{}", folder.path("console.log").display());
    command.args(["-serial", &console]);
    for name in link::NAMES {
        let socket = folder.path(name);
        command.arg("-chardev");
        command.arg(format!("socket,id={name},path={}", socket.display()));
        command.args(["-serial", &format!("chardev:{name}")]);
    }
    if let Some(disk) = machine.disk {
        let options = "if=none,id=disk,format=raw,snapshot=on,cache=unsafe";
        // A comma in a path is written twice.
        let path = disk.display().to_string().replace(',', ",,");
        command.args(["-drive", &format!("file={path},{options}")]);
        command.args(["-device", "virtio-blk-pci,drive=disk"]);
    }
    if let Some(keep) = machine.keep {
        // What a guest flushes reaches the host's disk, as with an honest disk; what it only wrote may be lost with the host, not
        // with the guest.
        let options = "if=none,id=keep,format=raw,cache=writeback";
        let path = keep.display().to_string().replace(',', ",,");
        command.args(["-drive", &format!("file={path},{options}")]);
        command.args(["-device", "virtio-blk-pci,drive=keep"]);
    }
    command.arg("-kernel").arg(machine.kernel);
    command.arg("-initrd").arg(machine.initrd);
    // On a busy host the check of the timer at boot finds it too slow, and gives up.
    let line = format!(
        "console=ttyS0 quiet panic=-1 oops=panic no_timer_check 8250.nr_uarts=4 {}",
        machine.append
    );
    command.args(["-append", line.trim_end()]);
    command
}
