//! Runs scenarios one after the other, each in a child process with a time limit, and cleans up behind it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{ALL, Outcome, Scenario};
use crate::process::{Process, Start};
use crate::{cgroup, network, pod};

/// Prints the names of all scenarios.
pub fn list() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for scenario in ALL {
        writeln!(out, "{}", scenario.name)?;
    }
    Ok(())
}

/// The lab makes pods where kubelet would and removes them with force: never beside a real kubelet.
pub fn refuse_on_a_real_node() -> Result<()> {
    let pods = Path::new(cgroup::ROOT).join("kubepods.slice");
    ensure!(
        !pods.exists(),
        "{} exists: this looks like a Kubernetes node; the lab is for its own virtual machines",
        pods.display()
    );
    Ok(())
}

fn find(name: &str) -> Result<&'static Scenario> {
    ALL.iter()
        .find(|it| it.name == name)
        .with_context(|| format!("there is no scenario {name}"))
}

/// Runs the named scenarios, or all; prints one line each; the exit status is 1 if one failed.
pub fn run_all(names: &[String]) -> Result<ExitCode> {
    refuse_on_a_real_node()?;
    let chosen: Vec<&Scenario> = if names.is_empty() {
        ALL.iter().collect()
    } else {
        names.iter().map(|name| find(name)).collect::<Result<_>>()?
    };
    let mut failed = false;
    for scenario in chosen {
        let start = Instant::now();
        let line =
            in_child(scenario).unwrap_or_else(|error| format!("FAIL {}: {error:#}", scenario.name));
        failed |= line.starts_with("FAIL");
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
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The line of one scenario, run in a child.
fn in_child(scenario: &Scenario) -> Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["scenario", scenario.name]);
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
    let said = cgroup::remove(&Path::new(cgroup::ROOT).join("kubepods.slice"));
    if let Err(error) = said {
        eprintln!("lab: {error:#}");
    }
    // Links and folders are gone already where the scenario ended by itself.
    let _ = network::ip(&format!("link del {}", network::BRIDGE));
    let _ = std::fs::remove_dir_all(pod::LOGS);
}
