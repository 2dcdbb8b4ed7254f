//! The verb `test`: everything that must hold, in one run. Each lint is one check; tests and
//! scenarios count as they report themselves. A failure never stops the rest.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result};

use crate::{
    cache::Cache,
    checkers, chromium, e2e, hosts,
    kernels::Kernel,
    pairs::{self, Job},
    process,
    qemu::Folder,
    replayed, setup,
    tally::Tally,
    tools::CARGO_DENY,
    vm::{Parts, Settings},
};

const PREPARATION: &str = "tools and build";
const STATIC: &str = "lint, docs and unit";
const MACHINES: &str = "virtual machines";
/// The kernel that every scenario runs on.
const ALL_ON: &str = "6.12";
/// Seconds for all scenarios on one kernel: a guard against one that hangs, on a busy host too.
const SCENARIOS_LIMIT: u64 = 3000;
/// Seconds for each half of a reboot.
const REBOOT_LIMIT: u64 = 300;

/// Runs all checks, the scenarios on each kernel of the list.
pub(crate) fn run(list: &str) -> Result<i32> {
    let mut tally = Tally::default();
    let cache = Cache::open()?;

    let start = Instant::now();
    if let Err(error) = setup::lint_tools(&cache) {
        tally.fail(format!("cargo-deny: {error:#}"));
    }
    if let Err(error) = chromium::resolve(&cache) {
        tally.fail(format!("headless Chromium: {error:#}"));
    }
    let checkers = checkers::programs(&cache).and_then(|()| checkers::modules(&cache));
    if let Err(error) = checkers {
        tally.fail(format!("what checks deploy/ and metrics: {error:#}"));
    }
    let parts = Parts::prepare(list, None);
    tally.took(PREPARATION, start.elapsed());

    let start = Instant::now();
    for (name, command) in lints(&cache) {
        lint(&mut tally, name, command);
    }
    tally.skip(
        "advisories: their database is not part of this repository; `cargo deny check advisories` \
         reads it over the network"
            .to_owned(),
    );
    let tcpress = parts.as_ref().ok().and_then(|parts| parts.tcpress().ok());
    unit(&mut tally, tcpress)?;
    tally.took(STATIC, start.elapsed());

    let start = Instant::now();
    match parts {
        Ok(parts) => scenarios(&mut tally, &parts)?,
        Err(error) => tally.fail(format!("virtual machines: {error:#}")),
    }
    tally.took(MACHINES, start.elapsed());

    println!("\n{}\n{}", cache.summary(), tally.report());
    Ok(i32::from(!tally.good()))
}

fn lints(cache: &Cache) -> Vec<(&'static str, Command)> {
    let cargo = |words: &[&str]| {
        let mut command = process::cargo();
        command.args(words);
        command
    };
    let mut docs = cargo(&["doc", "--quiet", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-Dwarnings");
    // The kernel programs, checked for their own target as tracer/build.rs builds them.
    let mut kernel_side = cargo(&[
        "clippy",
        "--quiet",
        "--package",
        "tracer-ebpf",
        "--target",
        "bpfel-unknown-none",
        "-Zbuild-std=core",
        "--",
        "-Dwarnings",
    ]);
    kernel_side
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "--cfg=bpf_target_arch=\"x86_64\"");
    let mut deny = Command::new(CARGO_DENY.path(cache));
    deny.args(["check", "licenses", "bans", "sources"]);
    vec![
        ("format", cargo(&["fmt", "--all", "--check"])),
        (
            "clippy",
            cargo(&["clippy", "--quiet", "--all-targets", "--", "-Dwarnings"]),
        ),
        ("clippy of the kernel programs", kernel_side),
        ("docs", docs),
        ("licences and sources", deny),
    ]
}

fn lint(tally: &mut Tally, name: &str, mut command: Command) {
    eprintln!("== {name}");
    let start = Instant::now();
    let result = process::workspace().and_then(|root| process::run(command.current_dir(root)));
    match result {
        Ok(()) => tally.pass(),
        Err(error) => tally.fail(format!("{name}: {error:#}")),
    }
    eprintln!("   {} s", start.elapsed().as_secs());
}

/// Tests of all packages; those of the command line try the program that machines get, and build none of their own.
fn unit(tally: &mut Tally, tcpress: Option<&Path>) -> Result<()> {
    eprintln!("== cargo test");
    let mut cargo = process::cargo()
        .args(["test", "--no-fail-fast"])
        .envs(tcpress.map(|tcpress| ("TCPRESS", tcpress)))
        .current_dir(process::workspace()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut output = String::new();
    if let Some(lines) = cargo.stdout.take() {
        for line in BufReader::new(lines).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            output.push_str(&line);
            output.push('\n');
        }
    }
    let status = cargo.wait().context("cargo was lost")?;
    tally.cargo_test(&output, status.success());
    Ok(())
}

/// A machine that ends without a word, and the one that comes after it.
fn reboot(kernel: &Kernel, keep: PathBuf) -> Job<'_> {
    let settings = Settings {
        keep: Some(keep),
        timeout: REBOOT_LIMIT,
        ..Settings::default()
    };
    let mut job = Job::new(kernel, settings, "lab scenario agent_before_reboot")
        .crashing("lab scenario agent_after_reboot");
    job.label.push_str(" rebooted");
    job
}

/// The agent beside a real Prometheus.
fn with_prometheus<'a>(kernel: &'a Kernel, settings: &Settings) -> Job<'a> {
    let settings = Settings {
        prometheus: true,
        ..settings.clone()
    };
    let mut job = Job::new(
        kernel,
        settings,
        "lab scenarios agent_scraped agent_exhausted",
    );
    job.label.push_str(" with Prometheus");
    job
}

fn scenarios(tally: &mut Tally, parts: &Parts) -> Result<()> {
    let folder = Folder::new()?;
    let share = folder.path("share");
    fs::create_dir_all(&share).context("cannot make a folder to share")?;
    let settings = Settings {
        timeout: SCENARIOS_LIMIT,
        ..Settings::default()
    };
    let kernels = || parts.kernels.iter();
    // What shows the same on every kernel is tried on one.
    let all_on = kernels().find(|kernel| kernel.name == ALL_ON);
    let all_on = all_on.or_else(|| kernels().next());
    let mut jobs: Vec<Job<'_>> = kernels()
        .map(|kernel| {
            let all = all_on.is_some_and(|it| it.name == kernel.name);
            let option = if all { "" } else { " --kernel-bound" };
            let mut settings = settings.clone();
            // What one of them records is replayed here.
            settings.share = all.then(|| share.clone());
            Job::new(kernel, settings, &format!("lab scenarios{option}"))
        })
        .collect();
    jobs.extend(all_on.map(e2e::incident));
    jobs.extend(all_on.map(|kernel| reboot(kernel, folder.path("keep"))));
    jobs.extend(all_on.map(|kernel| with_prometheus(kernel, &settings)));
    // The longest first, so that no machine runs on alone at the end.
    jobs.sort_by_key(|job| job.command.len());
    let tried = format!("lab scenarios {}", hosts::FEW_SCENARIOS);
    jobs.extend(kernels().filter_map(|kernel| {
        let settings = hosts::one_of(kernel, &settings)?;
        Some(Job::new(kernel, settings, &tried))
    }));
    for run in pairs::run(parts, &jobs) {
        match run.status {
            Ok(status) => tally.scenarios(&run.label, &run.stdout, status),
            Err(error) => tally.fail(format!("{}: {error:#}", run.label)),
        }
    }
    match parts
        .tcpress()
        .and_then(|tcpress| replayed::check(&share.join("out"), tcpress))
    {
        Ok(()) => tally.pass(),
        Err(error) => tally.fail(format!("a capture replayed on this host: {error:#}")),
    }
    Ok(())
}
