//! Benchmarks: what an answer of tcpress costs beside that of the tool that an engineer would type instead. They measure and print; they
//! assert nothing, because time on a shared machine proves nothing.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Subcommand;

use crate::network::Network;
use crate::pod::Pod;
use crate::{netns, scenario, sys, tcpress};

/// Runs of each program; the median is told.
const RUNS: usize = 5;

/// Which benchmark.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Who holds TCP memory, among very many sockets: tcpress beside `ss`, with cgroups and with processes.
    Scan {
        /// How many sockets.
        #[arg(long, default_value_t = 100_000)]
        sockets: usize,
    },
}

impl Bench {
    /// Measures and prints.
    pub fn run(&self) -> Result<()> {
        scenario::refuse_on_a_real_node()?;
        match self {
            Self::Scan { sockets } => scan(*sockets),
        }
    }
}

/// What one run of a program took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    /// Most memory at once, in KiB.
    rss: u64,
}

/// Sockets whose cgroup names their owner, and sockets of a process in the root cgroup, where only the process does.
fn scan(sockets: usize) -> Result<()> {
    let patience = Duration::from_secs(30) + Duration::from_millis(10) * u32::try_from(sockets)?;
    let crowd = format!("crowd --sockets {sockets}");
    let tcpress = tcpress::program();
    let ours = [
        tcpress.to_str().context("no path")?,
        "report",
        "-d",
        "0",
        "-o",
        "json",
    ];

    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "crowd")?;
    let begun = Instant::now();
    let recipe = pod.recipe(&crowd)?;
    recipe.done(patience)?;
    let took = |begun: Instant| begun.elapsed().as_secs();
    println!("{sockets} sockets of a pod, made in {} s", took(begun));
    // Both are asked in the pod's network, as `ss` sees one only.
    compare(&["ss", "-tmH", "--cgroup"], &ours, Some(&pod))?;
    drop(recipe);
    drop(pod);

    let begun = Instant::now();
    let recipe = netns::node_recipe(&crowd)?;
    recipe.done(patience)?;
    println!(
        "{sockets} sockets of a process in no cgroup, made in {} s",
        took(begun)
    );
    compare(&["ss", "-tmp"], &ours, None)?;
    Ok(())
}

fn compare(theirs: &[&str], ours: &[&str], pod: Option<&Pod>) -> Result<()> {
    let (theirs, ours) = (median(theirs, pod)?, median(ours, None)?);
    let seconds = |time: Duration| time.as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a ratio of KiB")]
    let rss = ours.rss as f64 / theirs.rss as f64;
    println!(
        "  tcpress / ss: wall {:.2}, CPU {:.2}, memory {rss:.2}",
        seconds(ours.wall) / seconds(theirs.wall),
        seconds(ours.cpu) / seconds(theirs.cpu),
    );
    Ok(())
}

/// The median of each figure of some runs.
fn median(words: &[&str], pod: Option<&Pod>) -> Result<Cost> {
    let mut costs = (0..RUNS)
        .map(|_| run(words, pod))
        .collect::<Result<Vec<_>>>()?;
    let mut middle = |key: fn(&Cost) -> u128| {
        costs.sort_by_key(key);
        costs[RUNS / 2]
    };
    let cost = Cost {
        wall: middle(|cost| cost.wall.as_nanos()).wall,
        cpu: middle(|cost| cost.cpu.as_nanos()).cpu,
        rss: middle(|cost| cost.rss.into()).rss,
    };
    println!(
        "  {:44} wall {:>8.3} s, CPU {:>8.3} s, memory {:>7} KiB",
        words.join(" "),
        cost.wall.as_secs_f64(),
        cost.cpu.as_secs_f64(),
        cost.rss
    );
    Ok(cost)
}

/// Runs a program whose output goes nowhere, in the network of a pod if one is given.
fn run(words: &[&str], pod: Option<&Pod>) -> Result<Cost> {
    let (program, arguments) = words.split_first().context("no program")?;
    let netns = pod.map(Pod::netns_file).transpose()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // With a closure the child is a fork of its own, so that the most memory it had is not that of this process.
    let enter = move || match &netns {
        Some(netns) => sys::enter_netns(std::os::fd::AsFd::as_fd(netns)),
        None => Ok(()),
    };
    // SAFETY: the closure makes one system call at most and allocates nothing.
    unsafe { command.pre_exec(enter) };
    let begun = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let (status, usage) = wait(child.id())?;
    ensure!(
        status == 0,
        "{} ended with status {status}",
        words.join(" ")
    );
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Ok(Cost {
        wall: begun.elapsed(),
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        rss: usage.ru_maxrss.unsigned_abs(),
    })
}

/// Waits for a child, and reads what it used.
fn wait(pid: u32) -> Result<(libc::c_int, libc::rusage)> {
    let pid = libc::pid_t::try_from(pid)?;
    let mut status = 0;
    // SAFETY: rusage is plain data; all zeroes is a valid one.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the pointers are to locals that outlive the call.
        let got = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        match sys::cvt(got) {
            Ok(_) => return Ok((status, usage)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("the child is lost"),
        }
    }
}
