//! The agent: counters that are the kernel's while it is scraped, one report for one incident, and a memory that outlives it.

pub(super) mod bounds;
pub(super) mod clock;
pub(super) mod counts;
pub(super) mod exempt;
pub(super) mod exhausted;
pub(super) mod faults;
pub(super) mod idle;
pub(super) mod incident;
pub(super) mod no_room;
pub(super) mod privileges;
mod prometheus;
pub(super) mod reboot;
pub(super) mod runtime;
pub(super) mod scraped;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::agent::{Agent, Page};
use crate::check::Checks;
use crate::pod::Pod;

/// Refusals that are provoked; `TCPRESS_AGENT_STORM` asks for another number.
fn storm_size() -> Result<u64> {
    super::number("TCPRESS_AGENT_STORM", 20_000)
}

/// Connections that bring them about.
const CONNECTIONS: u64 = 4;
/// For anything that the agent does by itself within a few windows.
const SOON: Duration = Duration::from_secs(90);

/// Short windows, and an incident whenever anything is refused: at its end the recording is brought to disk.
const SHORT: [&str; 6] = [
    "scan.interval=2s",
    "scan.interval_under_pressure=1s",
    "trigger.refusals_per_second=1",
    "trigger.hold=0s",
    "trigger.recover=3s",
    "trigger.cool_down=0s",
];

/// A folder in /tmp for the files of an agent, empty.
fn folder(name: &str) -> Result<PathBuf> {
    let folder = Path::new("/tmp").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// How many maps of ours, and programs, a process holds open.
fn held_in_kernel(agent: &Agent) -> usize {
    let folder = format!("/proc/{}/fdinfo", agent.pid());
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| fs::read_to_string(file.path()).ok());
    let ours = |text: &String| {
        text.lines().any(|line| {
            line.starts_with("map_type:")
                || line.starts_with("prog_type:")
                || line.starts_with("link_type:")
        })
    };
    texts.filter(ours).count()
}

/// The kill switch, which is off.
pub(crate) fn switch() -> Result<PathBuf> {
    let switch = PathBuf::from("/run/tcpress/off");
    let _ = fs::remove_file(&switch);
    fs::create_dir_all("/run/tcpress")?;
    Ok(switch)
}

fn labels<'a>(pod: &'a Pod, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let (namespace, name) = pod.names();
    [&[("namespace", namespace), ("pod", name)], more].concat()
}

/// Series of the kernel's counters that are not what was attributed.
fn residuals(page: &Page) -> Vec<(&str, f64)> {
    let all = page.of("tcpress_residual").into_iter();
    all.filter(|it| it.1 != 0.0).collect()
}

/// One report of an incident that is over: it covers the time before, has these causes, and says what has recovered.
fn check_incident(checks: &mut Checks, report: &Value, causes: &[&str]) {
    let state = &report["incident"];
    let time = |value: &Value| {
        value
            .as_str()
            .unwrap_or_default()
            .parse::<jiff::Timestamp>()
            .ok()
    };
    let (start, opened, closed) = (
        time(&report["window"]["start"]),
        time(&state["opened"]),
        time(&state["closed"]),
    );
    checks.that(
        start
            .zip(opened)
            .is_some_and(|(start, opened)| start < opened),
        || {
            format!(
                "it does not cover the time before: {} and {state}",
                report["window"]["start"]
            )
        },
    );
    checks.that(
        opened
            .zip(closed)
            .is_some_and(|(opened, closed)| opened < closed),
        || format!("it is not closed: {state}"),
    );
    let has = |cause: &str| {
        state["causes"]
            .as_array()
            .is_some_and(|all| all.iter().any(|it| it == cause))
    };
    for cause in causes {
        checks.that(has(cause), || {
            format!("{cause} is none of its causes: {state}")
        });
    }
    checks.that(report["recovery"].is_object(), || {
        "it does not say what has recovered".to_owned()
    });
}

/// All that the incident was about has recovered.
fn check_recovered(checks: &mut Checks, report: &Value) {
    let recovery = &report["recovery"];
    checks.that(recovery["recovered"] == true, || {
        format!("not all has recovered: {recovery}")
    });
}
