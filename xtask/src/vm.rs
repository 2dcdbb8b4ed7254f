//! The verb `vm`: a command on real kernels.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    accel, binaries,
    cache::Cache,
    checkers, guest, initramfs, keep,
    kernels::{self, Kernel},
    node, process,
    qemu::{self, Accelerator, Folder, Machine, Outcome},
    setup,
};

const MEMORY: &str = "1G";
const CPUS: u32 = 2;
/// Lines of a log that are shown when a machine failed.
const TAIL: usize = 40;
const TIMEOUT: u64 = 300;
/// Rules of Prometheus, of which all others are made.
const RULES: &str = "deploy/prometheus/tcpress.rules.yaml";
/// Exit status when the command ran into the time limit.
pub(crate) const TIMED_OUT: i32 = 124;
/// Exit status when the machine failed, not the command.
const MACHINE_FAILED: i32 = 125;
/// Names of a guest's disks, in the order in which it finds them.
const DISKS: [&str; 2] = ["vda", "vdb"];
/// Exit status when a signal stopped us, as shells count.
const INTERRUPTED: i32 = 130;

/// How the cgroup file system is laid out in a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cgroup {
    V2,
    V1,
    Hybrid,
}

/// The machine to make.
#[derive(Debug, Clone, Args)]
pub(crate) struct Settings {
    /// Folder of the modules, for a kernel given by its path
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// Folder to show as /share in the guest; what the command writes to /share/out comes back
    #[arg(long, value_name = "DIR")]
    pub(crate) share: Option<PathBuf>,
    /// Boot the disk of a node: a Debian with containerd, runc, CNI plugins and Redis
    #[arg(long)]
    pub(crate) node: bool,
    /// A disk that outlives the machine, as /keep in the guest: an image, made where it lacks
    #[arg(long, value_name = "FILE")]
    pub(crate) keep: Option<PathBuf>,
    /// The command is to end the machine itself, as `lab scenario agent_before_reboot` does: that is status 0; one that ends well instead is 125
    #[arg(long)]
    pub(crate) crash: bool,
    /// Put Debian's Prometheus and the rules of deploy/ into the guest, where scenarios find them
    #[arg(long)]
    pub(crate) prometheus: bool,
    /// Memory, as QEMU reads it
    #[arg(long, value_name = "SIZE", default_value = MEMORY)]
    pub(crate) memory: String,
    /// Processors
    #[arg(long, value_name = "N", default_value_t = CPUS)]
    pub(crate) cpus: u32,
    /// Seconds that the command may take; then it is ended with status 124
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT)]
    pub(crate) timeout: u64,
    /// More words for the kernel's command line
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub(crate) append: String,
    /// How cgroups are mounted
    #[arg(long, value_enum, default_value_t = Cgroup::V2)]
    pub(crate) cgroup: Cgroup,
    /// Count instructions as time: slow, one processor, and the same cost on every run
    #[arg(long)]
    pub(crate) icount: bool,
    /// Run the processors at the same time, not in turn; under QEMU before 8.1 a guest's kernel may panic
    #[arg(long, conflicts_with = "icount")]
    pub(crate) parallel: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            modules: None,
            share: None,
            node: false,
            keep: None,
            crash: false,
            prometheus: false,
            memory: MEMORY.to_owned(),
            cpus: CPUS,
            timeout: TIMEOUT,
            append: String::new(),
            cgroup: Cgroup::V2,
            icount: false,
            parallel: false,
        }
    }
}

/// Where a guest's output goes.
pub(crate) type Output = Box<dyn Write + Send>;

/// Everything that machines are made of, found or fetched.
#[derive(Debug)]
pub(crate) struct Parts {
    cache: Cache,
    guest: PathBuf,
    programs: Vec<PathBuf>,
    /// The kernels asked for.
    pub(crate) kernels: Vec<Kernel>,
}

impl Parts {
    /// Does the part of the set-up that machines need, and builds our programs.
    pub(crate) fn prepare(list: &str, modules: Option<&Path>) -> Result<Self> {
        let cache = Cache::open()?;
        setup::qemu()?;
        let kernels = kernels::resolve(&cache, list, modules)?;
        let guest = guest::resolve(&cache)?;
        let programs = binaries::build(&cache)?;
        Ok(Self {
            cache,
            guest,
            programs,
            kernels,
        })
    }

    /// The `tcpress` that machines get.
    pub(crate) fn tcpress(&self) -> Result<&Path> {
        binaries::tcpress_of(&self.programs)
    }

    /// Runs a command on one kernel; `outputs` makes the places for its stdout and stderr. Returns its
    /// exit status, or 124 or 125 with a word on stderr.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        settings: &Settings,
        command: &[String],
        outputs: impl Fn() -> (Output, Output),
    ) -> Result<i32> {
        let folder = Folder::new()?;
        let initrd = folder.path("initrd");
        let cgroup = settings.cgroup.to_possible_value();
        let disk = settings
            .node
            .then(|| node::resolve(&self.cache))
            .transpose()?;
        if let Some(image) = &settings.keep {
            keep::make(&self.cache, image)?;
        }
        let keep = settings.keep.as_deref();
        let mut programs = self.programs.clone();
        let mut rules = None;
        if settings.prometheus {
            programs.push(checkers::prometheus(&self.cache)?);
            rules = Some(process::workspace()?.join(RULES));
        }
        let content = initramfs::Content {
            guest: &self.guest,
            for_disk: disk.is_some(),
            programs: &programs,
            rules: rules.as_deref(),
            keep: keep.map(|_| DISKS[usize::from(disk.is_some())]),
            modules: kernel.modules.as_deref(),
            share: settings.share.as_deref(),
            cgroup: cgroup.as_ref().map_or("v2", |value| value.get_name()),
            command,
        };
        initramfs::write(&initrd, &content)?;
        let mut machine = Machine {
            kernel: &kernel.image,
            initrd: &initrd,
            disk: disk.as_deref(),
            keep,
            accelerator: Accelerator::Count,
            memory: &settings.memory,
            cpus: settings.cpus,
            append: &settings.append,
            boot_limit: Duration::from_secs(if settings.icount { 600 } else { 240 }),
            limit: Duration::from_secs(settings.timeout),
        };
        if !settings.icount {
            machine.accelerator = match accel::choose(&self.cache, &machine, &folder)? {
                Accelerator::Translate if settings.parallel => Accelerator::TranslateInParallel,
                chosen => chosen,
            };
        }
        let run = || {
            let (stdout, stderr) = outputs();
            qemu::run(&machine, &folder, stdout, stderr)
        };
        let mut outcome = run()?;
        // A starved host can keep a guest from booting. As no command has run, a second try is fair.
        if let Outcome::Failed {
            why,
            started: false,
        } = &outcome
        {
            eprintln!(
                "kernel {} did not boot ({why}); trying once more",
                kernel.name
            );
            outcome = run()?;
        }
        match outcome {
            Outcome::Ended { status, output } => {
                if let (Some(share), false) = (&settings.share, output.is_empty()) {
                    unpack(&output, &share.join("out"))?;
                }
                if settings.crash && status == 0 {
                    eprintln!("the command ended, and was to end the machine");
                    return Ok(MACHINE_FAILED);
                }
                Ok(status)
            }
            Outcome::Crashed if settings.crash => Ok(0),
            Outcome::Crashed => {
                eprintln!("the command has ended the machine; say --crash where it is to");
                Ok(MACHINE_FAILED)
            }
            Outcome::TimedOut => {
                eprintln!(
                    "time limit: the command did not end within {} s; give it more with --timeout",
                    settings.timeout
                );
                Ok(TIMED_OUT)
            }
            Outcome::Failed { why, .. } => {
                eprintln!(
                    "the virtual machine failed on kernel {}: {why}",
                    kernel.name
                );
                tail(&folder, "console.log");
                tail(&folder, "qemu.log");
                Ok(MACHINE_FAILED)
            }
            Outcome::Interrupted => {
                drop(folder);
                std::process::exit(INTERRUPTED);
            }
        }
    }
}

/// Runs the command on each kernel of the list; the first status that is not zero is the result.
pub(crate) fn run(list: &str, settings: &Settings, command: &[String]) -> Result<i32> {
    if let Some(share) = &settings.share
        && !share.is_dir()
    {
        bail!("--share: {} is not a folder", share.display());
    }
    let parts = Parts::prepare(list, settings.modules.as_deref())?;
    let mut result = 0;
    for kernel in &parts.kernels {
        if parts.kernels.len() > 1 {
            eprintln!("== kernel {}", kernel.name);
        }
        let outputs = || -> (Output, Output) { (Box::new(io::stdout()), Box::new(io::stderr())) };
        let status = parts.run(kernel, settings, command, outputs)?;
        if result == 0 {
            result = status;
        }
    }
    Ok(result)
}

fn unpack(packed: &[u8], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut tar = Command::new("tar")
        .args(["--extract", "--gzip", "--no-same-owner", "--directory"])
        .arg(folder)
        .stdin(Stdio::piped())
        .spawn()
        .context("tar is needed to unpack /share/out")?;
    let written = tar.stdin.take().map(|mut input| input.write_all(packed));
    let status = tar.wait().context("tar was lost")?;
    if !status.success() || !matches!(written, Some(Ok(()))) {
        bail!("tar could not unpack /share/out into {}", folder.display());
    }
    Ok(())
}

fn tail(folder: &Folder, name: &str) {
    let text = fs::read(folder.path(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    // QEMU says this of every named processor model.
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("TCG doesn't support requested feature"))
        .collect();
    // A panic says first what happened and then where; the first is what matters.
    let panic = lines
        .iter()
        .position(|line| line.contains("Kernel panic") || line.contains("BUG:"));
    let start = lines.len().saturating_sub(TAIL);
    let lines = &lines[panic.map_or(start, |panic| panic.min(start))..];
    if !lines.is_empty() {
        eprintln!("-- the end of {name}");
        for line in lines {
            eprintln!("{line}");
        }
    }
}
