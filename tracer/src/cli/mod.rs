//! The command line: one file per subcommand, an `Args` struct and a `run` function each. stdout is data,
//! stderr is words. Exit status: 0 done, 1 error, 2 wrong usage, 3 a finding where `--exit-code` asks for it.

mod agent;
mod completions;
mod doctor;
mod export;
mod follow;
mod local;
mod man;
mod merge;
mod observe;
mod past;
mod print;
mod record;
mod replay;
mod report;
mod schema;
mod top;
mod trace;
mod view;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicU8, Ordering},
};

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    attribute::{
        Sources, contact,
        cri::{Hints, Sockets},
    },
    kernel,
    kernel::plan::ProbeFlavour,
    probe::{Sizes, default_budget, possible_cpus},
    session,
};

/// Who fills the TCP memory of this node, who suffers, and which limit refused.
#[derive(Debug, Parser)]
#[command(name = "tcpress", version, max_term_width = 100, after_help = EXIT_STATUS)]
struct Cli {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    words: Words,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Report(report::Args),
    Record(record::Args),
    Replay(replay::Args),
    Merge(merge::Args),
    Schema(schema::Args),
    Top(top::Args),
    Trace(trace::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
    Export(export::Args),
    Agent(agent::Args),
}

/// What each exit status means.
const EXIT_STATUS: &str = "Exit status: 0 done; 1 error (doctor: nothing can be traced; report --until-recovered: told to \
    stop before; merge, replay: something could not be read); 2 wrong usage; 3 with --exit-code: the verdict is a finding, \
    neither healthy nor inconclusive. stdout is data, stderr is words.";

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, Args)]
struct Words {
    /// Say nothing on stderr but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say on stderr what is done, and what could not be attached.
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// How much is said: 0 errors, 1 what people wait for, 2 what is done.
static WORDS: AtomicU8 = AtomicU8::new(1);

/// Where the machine's own files are: an agent in a container sees the node's elsewhere.
#[derive(Clone, Debug, Args)]
struct Paths {
    /// The node's /proc.
    #[arg(long, global = true, value_name = "DIR", default_value = "/proc")]
    proc: PathBuf,
    /// The node's cgroup file system.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/sys/fs/cgroup"
    )]
    cgroup_root: PathBuf,
    /// Where the kubelet keeps the logs of pods, whose names name the pods.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/var/log/pods"
    )]
    pod_logs: PathBuf,
    /// Socket of a container runtime (CRI version 1), may be given more than once; `none` asks nobody. Without it, whichever of
    /// containerd, k3s, CRI-O and cri-dockerd listens at its usual place.
    #[arg(long, global = true, value_name = "PATH")]
    cri_socket: Vec<PathBuf>,
    /// Labels or annotations of pods that say whom to call, the most telling first; may be given more than once.
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        value_delimiter = ',',
        default_values = contact::DEFAULT_KEYS
    )]
    contact_key: Vec<String>,
    /// Label of this node, such as its pool or its zone, by which `merge` tells what affected nodes share; may be given more than once.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = label, env = "TCPRESS_NODE_LABELS", value_delimiter = ',')]
    node_label: Vec<(String, String)>,
    /// Type information of the running kernel.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/sys/kernel/btf/vmlinux"
    )]
    btf: PathBuf,
}

impl Paths {
    /// Where names and counters are read from; an error where even the first file of a procfs lacks.
    fn sources(&self) -> anyhow::Result<Sources> {
        let release = self.proc.join("sys/kernel/osrelease");
        std::fs::metadata(&release).with_context(|| {
            format!(
                "{} is no procfs of a node: {}",
                self.proc.display(),
                release.display()
            )
        })?;
        let node = session::node(&self.proc, 0);
        let names = [node.k8s_node_name, Some(node.host_name)].into_iter();
        Ok(Sources {
            proc: self.proc.clone(),
            cgroup_root: self.cgroup_root.clone(),
            pod_logs: self.pod_logs.clone(),
            cri: self.cri(),
            hints: Hints {
                contact_keys: self.contact_key.clone(),
                node: names.flatten().collect(),
            },
            ..Sources::default()
        })
    }

    fn cri(&self) -> Sockets {
        let none = |path: &PathBuf| path.as_os_str() == "none";
        match self.cri_socket.as_slice() {
            [] => Sockets::Usual,
            paths if paths.iter().any(none) => Sockets::None,
            paths => Sockets::Given(paths.to_vec()),
        }
    }

    fn facts(&self) -> kernel::Facts {
        kernel::facts::gather(&self.proc, &self.btf)
    }
}

/// Bounds of what the kernel programs keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
struct Bounds {
    /// Kernel memory for the maps; 16 MiB and 64 KiB for each possible CPU by default. The sizes below
    /// follow from it unless they are given.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1 << 20..=1 << 32))]
    map_bytes: Option<u64>,
    /// Owners (cgroup and network namespace) that are counted each for itself; the rest is counted
    /// together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_owners: Option<u32>,
    /// Network namespaces whose rest is counted together; what is beyond is counted in one sum.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    max_namespaces: Option<u32>,
    /// Sockets whose share of the counts is kept.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    max_sockets: Option<u32>,
    /// Bytes of the buffer for evidence: a power of two from 4096 on.
    #[arg(long, value_name = "BYTES", value_parser = ring_bytes)]
    ring_bytes: Option<u32>,
    /// How functions of the kernel are probed.
    #[arg(long, value_enum, default_value_t)]
    probe_flavour: ProbeFlavour,
}

impl Bounds {
    fn sizes(&self) -> Sizes {
        let cpus = possible_cpus();
        let budget = self.map_bytes.unwrap_or_else(|| default_budget(cpus));
        let within = Sizes::within(budget, cpus);
        Sizes {
            owners: self.max_owners.unwrap_or(within.owners),
            namespaces: self.max_namespaces.unwrap_or(within.namespaces),
            sockets: self.max_sockets.unwrap_or(within.sockets),
            ring_bytes: self.ring_bytes.unwrap_or(within.ring_bytes),
            ..within
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| format!("{text} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn ring_bytes(text: &str) -> Result<u32, String> {
    let bytes: u32 = text
        .parse()
        .map_err(|_| format!("{text} is not a number of bytes"))?;
    if bytes.is_power_of_two() && (4096..=1 << 30).contains(&bytes) {
        Ok(bytes)
    } else {
        Err("it must be a power of two, from 4096 to 1073741824".to_owned())
    }
}

/// Runs the command that the process was given.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    WORDS.store(
        match cli.words {
            Words { quiet: true, .. } => 0,
            Words { verbose: true, .. } => 2,
            _ => 1,
        },
        Ordering::Relaxed,
    );
    let done = match cli.command {
        Command::Report(args) => on_one_thread(report::run(&cli.paths, &args)),
        Command::Record(args) => on_one_thread(record::run(&cli.paths, &args)),
        Command::Replay(args) => replay::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Top(args) => top::run(&cli.paths, args),
        Command::Trace(args) => on_one_thread(trace::run(&cli.paths, &args)),
        Command::Doctor(args) => doctor::run(&cli.paths, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Export(args) => on_one_thread(export::run(&args)),
        Command::Agent(args) => on_one_thread(agent::run(&cli.paths, args)),
    };
    match done {
        Ok(code) => code,
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // stderr may be gone as well; there is nobody left to tell then.
            let _ = writeln!(io::stderr(), "tcpress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_one_thread(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Until the user or the system asks us to end.
async fn stop() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

/// Words for people. stderr may be gone; that is no reason to end.
fn say(words: &str) {
    say_from(1, words);
}

/// Words for people who asked for more of them.
fn detail(words: &str) {
    say_from(2, words);
}

/// From now on only errors are said.
fn say_no_more() {
    WORDS.store(0, Ordering::Relaxed);
}

fn say_from(level: u8, words: &str) {
    if WORDS.load(Ordering::Relaxed) >= level {
        let _ = writeln!(io::stderr(), "{words}");
    }
}

/// A length of time in words: `500ms`, `10s`, `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wanted = "a time such as 500ms, 10s or 2m";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("{text} is not {wanted}"))?;
    Duration::try_from(span).map_err(|_| format!("{text} is not {wanted}"))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
