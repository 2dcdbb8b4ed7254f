//! Runs scenarios one after the other, each in a child process with a time limit, and cleans up behind it.

use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{ALL, ON_DEMAND, Outcome, Scenario};
use crate::process::{Process, Start};
use crate::tcpress::Settings;
use crate::{cgroup, network, pod};

/// Prints the names of all scenarios.
pub fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for scenario in ALL {
        writeln!(out, "{}", scenario.name)?;
    }
    for scenario in ON_DEMAND {
        writeln!(out, "{} (on demand)", scenario.name)?;
    }
    Ok(())
}

/// The lab makes pods where kubelet would and removes them with force: never beside a real kubelet.
pub fn refuse_on_a_real_node() -> Result<()> {
    for pods in cgroup::all_pods_of_each() {
        ensure!(
            !pods.exists(),
            "{} exists: this looks like a Kubernetes node; the lab is for its own virtual machines",
            pods.display()
        );
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Scenario> {
    ALL.iter()
        .chain(ON_DEMAND)
        .find(|it| it.name == name)
        .with_context(|| format!("there is no scenario {name}"))
}

/// How scenarios ended.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// How many passed.
    pub passed: u64,
    /// Those that failed, and why.
    pub failed: Vec<String>,
    /// Those that could not be run, and why.
    pub skipped: Vec<String>,
}

/// Runs the named scenarios, or all, without those that show the same on every kernel if that is asked for; the exit status is 1 if
/// one failed.
pub fn run_all(names: &[String], kernel_bound: bool, settings: &Settings) -> Result<ExitCode> {
    let chosen: Vec<&Scenario> = if names.is_empty() {
        ALL.iter().filter(|it| !(kernel_bound && it.once)).collect()
    } else {
        names.iter().map(|name| find(name)).collect::<Result<_>>()?
    };
    let results = run_each(&chosen, settings)?;
    Ok(ExitCode::from(u8::from(!results.failed.is_empty())))
}

/// Runs scenarios; prints one line each.
pub fn run_each(chosen: &[&Scenario], settings: &Settings) -> Result<Results> {
    refuse_on_a_real_node()?;
    let mut results = Results::default();
    for scenario in chosen {
        let start = Instant::now();
        let line = in_child(scenario, settings)
            .unwrap_or_else(|error| format!("FAIL {}: {error:#}", scenario.name));
        match line.split_once(' ') {
            Some(("PASS", _)) => results.passed += 1,
            Some(("SKIP", what)) => results.skipped.push(what.to_owned()),
            _ => results.failed.push(line.clone()),
        }
        eprintln!(
            "lab: {} took {:.1} s",
            scenario.name,
            start.elapsed().as_secs_f64()
        );
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        drop(out);
        sweep();
    }
    Ok(results)
}

/// The line of one scenario, run in a child.
fn in_child(scenario: &Scenario, settings: &Settings) -> Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["scenario", scenario.name]);
    settings.hand(&mut command);
    let child = Process::start(scenario.name, &mut command, Start::default())?;
    let finished = child.finish(Duration::from_secs(scenario.limit))?;
    let name = scenario.name;
    let verdict = |line: &&String| {
        ["PASS", "FAIL", "SKIP"]
            .iter()
            .any(|word| line.starts_with(&format!("{word} {name}")))
    };
    if let Some(line) = finished.stdout.iter().find(verdict) {
        return Ok(line.clone());
    }
    let tail = finished.stderr[finished.stderr.len().saturating_sub(4)..].join(" | ");
    bail!("{}: {tail}", finished.status)
}

/// Runs one scenario in this process and prints its line.
pub fn run_one(name: &str) -> Result<ExitCode> {
    let scenario = find(name)?;
    let (line, code) = match (scenario.run)() {
        Ok(Outcome::Pass) => (format!("PASS {name}"), ExitCode::SUCCESS),
        Ok(Outcome::Skip(why)) => (
            format!("SKIP {name}: {}", one_line(&why)),
            ExitCode::SUCCESS,
        ),
        Err(error) => (
            format!("FAIL {name}: {}", one_line(&format!("{error:#}"))),
            ExitCode::FAILURE,
        ),
    };
    println!("{line}");
    Ok(code)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Removes what a killed scenario left: its processes, cgroups, log folders and links. Only what the lab itself has made.
pub fn sweep() {
    for pods in cgroup::all_pods_of_each() {
        if let Err(error) = cgroup::remove(&pods) {
            eprintln!("lab: {error:#}");
        }
    }
    // Links and folders are gone already where the scenario ended by itself.
    let _ = network::ip(&format!("link del {}", network::BRIDGE));
    let _ = std::fs::remove_dir_all(pod::LOGS);
}
