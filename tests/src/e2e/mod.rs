//! End to end: pods of a real containerd, driven over CRI as the kubelet does, the real Redis of the incident, and tcpress on the
//! node. Each scenario makes one thing true, and the verdict must say it.

mod churn;
mod container;
mod cri_config;
mod image;
mod incident;
mod kubelet;
mod leaks;
mod log;
mod node;
mod pod;
mod readers;
mod runtime;
mod scenario;
mod soak;
mod static_pods;
mod truth;
mod wire;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::scenario::refuse_on_a_real_node;
use crate::{cgroup, tcpress};
use node::Node;
use scenario::{Played, SCENARIOS, Scenario, TRIALS, Trial};

/// Settings of a run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which scenarios; all where none is named.
    names: Vec<String>,
    /// Folder for the results and the reports.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Instead, the incident on pods of this kubelet.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "names")]
    kubelet: Option<PathBuf>,
}

/// Plays the scenarios one after the other; prints a line for each, and at the end what was true and what was said.
pub fn run(args: &Args) -> Result<ExitCode> {
    refuse_on_a_real_node()?;
    if let Some(out) = &args.out {
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    }
    if let Some(program) = &args.kubelet {
        return with_kubelet(program, args.out.as_deref());
    }
    let named = |name: &str| args.names.iter().any(|it| it == name);
    let trials: Vec<&Trial> = TRIALS.iter().filter(|it| named(it.name)).collect();
    let is_trial = |name: &&String| trials.iter().any(|it| it.name == **name);
    let chosen: Vec<&Scenario> = if args.names.is_empty() {
        SCENARIOS.iter().collect()
    } else {
        let names = args.names.iter().filter(|name| !is_trial(name));
        names
            .map(|name| scenario::find(name))
            .collect::<Result<_>>()?
    };
    let start = Instant::now();
    let node = Node::new().context("the node did not come up")?;
    eprintln!("lab: the node is up after {} s", start.elapsed().as_secs());
    let mut results = Vec::new();
    for scenario in chosen {
        let start = Instant::now();
        let played = catch_unwind(AssertUnwindSafe(|| (scenario.play)(&node)))
            .unwrap_or_else(|_| bail!("it panicked"));
        let settled = node.settle();
        let seconds = start.elapsed().as_secs();
        let title = (scenario.name, scenario.about);
        let (result, line) = judge(title, played, settled, args.out.as_deref());
        say(&line)?;
        eprintln!("lab: {} took {seconds} s", scenario.name);
        results.push(result);
    }
    let mut failed = false;
    for trial in trials {
        let start = Instant::now();
        let run = catch_unwind(AssertUnwindSafe(|| (trial.run)(&node)))
            .unwrap_or_else(|_| bail!("it panicked"));
        let seconds = start.elapsed().as_secs();
        match run.and_then(|()| node.settle()) {
            Ok(()) => say(&format!("PASS {}", trial.name))?,
            Err(error) => {
                failed = true;
                let words = format!("{error:#}");
                let words: Vec<&str> = words.split_whitespace().collect();
                say(&format!("FAIL {}: {}", trial.name, words.join(" ")))?;
            }
        }
        eprintln!("lab: {} took {seconds} s", trial.name);
    }
    drop(node);
    let _ = cgroup::remove(&cgroup::in_first("kubepods"));
    results.iter().try_for_each(tell)?;
    keep(&results, args.out.as_deref())?;
    let good = !failed && results.iter().all(|result| result["held"] == true);
    Ok(ExitCode::from(u8::from(!good)))
}

/// The incident with pods of a real kubelet.
fn with_kubelet(program: &Path, out: Option<&Path>) -> Result<ExitCode> {
    let title = ("kubelet", "the incident with static pods of a real kubelet");
    let played = catch_unwind(AssertUnwindSafe(|| static_pods::play(program)));
    let played = played.unwrap_or_else(|_| bail!("it panicked"));
    let (result, line) = judge(title, played, Ok(()), out);
    say(&line)?;
    tell(&result)?;
    let code = ExitCode::from(u8::from(result["held"] != true));
    keep(&[result], out)?;
    Ok(code)
}

/// Writes what was true and what was said.
fn keep(results: &[Value], out: Option<&Path>) -> Result<()> {
    let Some(out) = out else {
        return Ok(());
    };
    let all = json!({"release": release()?, "scenarios": results});
    fs::write(out.join("e2e.json"), serde_json::to_string_pretty(&all)?)
        .context("cannot write the results")
}

/// What was true, and what was said.
fn tell(result: &Value) -> Result<()> {
    say(&format!(
        "{}\n  truth:   {}\n  verdict: {}",
        result["name"].as_str().unwrap_or_default(),
        result["truth"].as_str().unwrap_or("not reached"),
        result["verdict"].as_str().unwrap_or("none"),
    ))
}

/// What is kept of a scenario, and the line on it.
fn judge(
    (name, about): (&str, &str),
    played: Result<Played>,
    settled: Result<()>,
    out: Option<&Path>,
) -> (Value, String) {
    let mut faults = Vec::new();
    let mut result = json!({"name": name, "about": about});
    match played {
        Ok(played) => {
            result["truth"] = played.truth.words().into();
            result["verdict"] = truth::said(&played.report).into();
            let kept = out.map(|out| out.join(format!("{name}.json")));
            let kept = kept.map_or(Ok(()), |path| tcpress::keep(&path, &played.report));
            let outcomes = [
                played.truth.check(&played.report),
                played.faults.finish(),
                kept,
            ];
            faults.extend(outcomes.into_iter().filter_map(Result::err));
        }
        Err(error) => faults.push(error),
    }
    faults.extend(settled.err());
    let words: Vec<String> = faults.iter().map(|error| format!("{error:#}")).collect();
    result["held"] = words.is_empty().into();
    let line = match words.join("; ") {
        why if why.is_empty() => format!("PASS {name}"),
        why => {
            let why: Vec<&str> = why.split_whitespace().collect();
            format!("FAIL {name}: {}", why.join(" "))
        }
    };
    (result, line)
}

fn release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
