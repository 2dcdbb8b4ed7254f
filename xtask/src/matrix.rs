//! The verb `vm-matrix`: every kernel measured, and the page that says what was seen.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    hosts,
    kernels::{Kernel, SUPPORTED},
    kernels_page,
    pairs::{self, Job},
    process,
    qemu::Folder,
    vm::{self, Cgroup, Parts, Settings},
};

/// What is kept of each kernel lies here, in a folder by its short name.
pub(crate) const KEPT: &str = "tests/kernels";
const PAGE: &str = "docs/kernels.md";
/// Seconds for one kernel, two at a time on two busy cores.
const LIMIT: u64 = 3000;
/// Seconds for the great storm.
const STORM_LIMIT: u64 = 5400;
const STORM: &str = "TCPRESS_STORM=1000000 exec lab scenario storm";

/// One storm of 1,000,000 refusals.
pub(crate) fn storm(list: &str) -> Result<i32> {
    let settings = Settings {
        timeout: STORM_LIMIT,
        ..Settings::default()
    };
    vm::run(list, &settings, &["sh", "-c", STORM].map(str::to_owned))
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Every scenario, with both flavours, and hosts with cgroup v1.
    All,
    /// Limits and hard cases.
    Limits,
}

/// Scenarios of limits and hard cases.
const LIMITS: &str = "rcvbuf tcp_mem_hard tcp_mem_fair_share memcg_process memcg_softirq v1_tcpmem families moved_server \
                      passed_sockets not_accepted sockmap mptcp_subflows dying_sockets orphans killed tallies_full \
                      namespaces_full netns_many many_sockets";

/// Measures the kernels of the list and writes the page anew.
pub(crate) fn run(list: &str, part: Part) -> Result<i32> {
    let parts = Parts::prepare(list, None)?;
    let folder = Folder::new()?;
    let jobs = match part {
        Part::All => jobs(&parts.kernels, &folder)?,
        Part::Limits => limits(&parts.kernels, &folder)?,
    };
    let runs = pairs::run(&parts, &jobs);

    let kept = process::workspace()?.join(KEPT);
    let mut wrong = Vec::new();
    for run in runs {
        let name = &run.label;
        match run.status {
            Ok(0) => {}
            Ok(status) => wrong.push(format!("{name}: exit status {status}")),
            Err(error) => wrong.push(format!("{name}: {error:#}")),
        }
        let job = jobs.iter().find(|job| job.label == run.label);
        let Some(job) = job else { continue };
        match keep(&folder.path(name).join("out"), &kept, job, part) {
            // Some scenarios do not move every counter.
            Ok(_) if part == Part::Limits || job.settings.cgroup != Cgroup::V2 => {}
            Ok(seen) => wrong.extend(faults(name, &seen)),
            Err(error) => wrong.push(format!("{name}: nothing was measured: {error:#}")),
        }
    }
    if list == "all" && part == Part::All {
        let there = |name: &&str| parts.kernels.iter().any(|kernel| kernel.name == **name);
        for name in SUPPORTED.iter().filter(|name| !there(name)) {
            wrong.extend(no_longer_served(&kept.join(name)).err().map(|error| {
                format!("{name}: no suite serves it, and it was never measured: {error:#}")
            }));
        }
    }
    write_page()?;
    for fault in &wrong {
        println!("FAIL {fault}");
    }
    println!(
        "{} kernels measured, {} faults; see {PAGE}",
        parts.kernels.len(),
        wrong.len()
    );
    Ok(i32::from(!wrong.is_empty()))
}

/// Each kernel on its ordinary machine, and some on hosts with cgroup v1.
fn jobs<'a>(kernels: &'a [Kernel], folder: &Folder) -> Result<Vec<Job<'a>>> {
    let settings = Settings {
        timeout: LIMIT,
        ..Settings::default()
    };
    let mut jobs = Vec::new();
    for kernel in kernels {
        let all = "lab matrix --out /share/out";
        jobs.push(Job::new(kernel, settings.clone(), all));
        let some = format!("{all} --only {}", hosts::SCENARIOS);
        let hosts = hosts::of(kernel, &settings).into_iter();
        jobs.extend(hosts.map(|host| Job::new(kernel, host, &some)));
    }
    shared(jobs, folder)
}

/// Each kernel with the scenarios of limits and hard cases.
fn limits<'a>(kernels: &'a [Kernel], folder: &Folder) -> Result<Vec<Job<'a>>> {
    let settings = Settings {
        timeout: LIMIT,
        ..Settings::default()
    };
    let command = format!("lab matrix --out /share/out --only {LIMITS}");
    let job = |kernel| Job::new(kernel, settings.clone(), &command);
    shared(kernels.iter().map(job).collect(), folder)
}

/// The same jobs, each with a folder for what it writes.
fn shared<'a>(mut jobs: Vec<Job<'a>>, folder: &Folder) -> Result<Vec<Job<'a>>> {
    for job in &mut jobs {
        let share = folder.path(&job.label);
        fs::create_dir_all(&share).context("cannot make a folder to share")?;
        job.settings.share = Some(share);
    }
    Ok(jobs)
}

/// Writes the page from everything that was ever measured.
pub(crate) fn write_page() -> Result<()> {
    let root = process::workspace()?;
    let page = kernels_page::page(&all(&root.join(KEPT))?);
    let path = root.join(PAGE);
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

/// Where what was seen is kept.
const fn file(part: Part, cgroup: Cgroup) -> &'static str {
    match (part, cgroup) {
        (Part::Limits, _) => "limits.json",
        (Part::All, Cgroup::V2) => "seen.json",
        (Part::All, Cgroup::V1) => "v1.json",
        (Part::All, Cgroup::Hybrid) => "hybrid.json",
    }
}

/// Takes over what a machine wrote; returns what was seen.
fn keep(from: &Path, kept: &Path, job: &Job<'_>, part: Part) -> Result<Value> {
    let seen = read(&from.join("seen.json"))?;
    let to = kept.join(&job.kernel.name);
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    let mut files = vec![("seen.json", file(part, job.settings.cgroup))];
    if files[0].1 == "seen.json" {
        files.extend([("btf", "btf"), ("symbols", "symbols")]);
        // What was seen of limits alone is older now.
        let _ = fs::remove_file(to.join(file(Part::Limits, Cgroup::V2)));
    }
    for (name, kept) in files {
        fs::copy(from.join(name), to.join(kept))
            .with_context(|| format!("cannot copy {name} to {}", to.display()))?;
    }
    Ok(seen)
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The last measured row stays, marked.
fn no_longer_served(kept: &Path) -> Result<()> {
    let path = kept.join("seen.json");
    let mut seen = read(&path)?;
    seen["served"] = false.into();
    let text = serde_json::to_string_pretty(&seen)? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What makes a measurement bad: a counter that is marked exact and that nothing moved, or that is off. Kprobes may miss what the
/// kernel counts as skipped: the scenario has seen to it that the report says so.
fn faults(kernel: &str, seen: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for flavour in seen["flavours"].as_array().into_iter().flatten() {
        for (counter, it) in flavour["counters"].as_object().into_iter().flatten() {
            let by = flavour["flavour"].as_str().unwrap_or("?");
            let what = format!("{kernel}: {counter} by {by}");
            if it["sight"] != "exact" {
                continue;
            }
            let skipped = by == "kprobe" && flavour["possible_misses"].as_u64() > Some(0);
            if it["worst_residual"] != 0 && !skipped {
                faults.push(format!("{what}: residual {}", it["worst_residual"]));
            }
            if it["moved"] == 0 {
                faults.push(format!("{what}: no recipe moved it"));
            }
        }
    }
    faults
}

/// Everything that was ever measured, by name of the kernel.
fn all(kept: &Path) -> Result<Vec<(String, Value)>> {
    let folders = fs::read_dir(kept).with_context(|| format!("cannot read {}", kept.display()))?;
    let folders: Vec<PathBuf> = folders
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    let mut all = Vec::new();
    for folder in folders.iter().filter(|it| it.join("seen.json").is_file()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let mut seen = read(&folder.join("seen.json"))?;
        for (layout, cgroup) in [("v1", Cgroup::V1), ("hybrid", Cgroup::Hybrid)] {
            let host = folder.join(file(Part::All, cgroup));
            if host.is_file() {
                seen["hosts"][layout] = read(&host)?;
            }
        }
        let limits = folder.join(file(Part::Limits, Cgroup::V2));
        if limits.is_file() {
            seen["limits"] = read(&limits)?;
        }
        all.push((name.into_owned(), seen));
    }
    all.sort_by(|left, right| crate::debian::compare(&left.0, &right.0));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_page_is_what_was_measured() {
        let root = process::workspace().unwrap();
        let page = kernels_page::page(&all(&root.join(KEPT)).unwrap());
        let there = fs::read_to_string(root.join(PAGE)).unwrap();
        assert!(there == page, "{PAGE} is not made from {KEPT}");
    }

    #[test]
    fn what_is_exact_must_have_moved_and_have_no_residual() {
        let counter = |sight: &str, moved: u64, worst: u64| json!({"sight": sight, "moved": moved, "worst_residual": worst});
        let mut seen = json!({"flavours": [{"flavour": "kprobe", "possible_misses": 0, "counters": {
            "RcvPruned": counter("exact", 9, 0),
            "PruneCalled": counter("exact", 9, 2),
            "OfoPruned": counter("exact", 0, 0),
            "TCPOFODrop": counter("derived", 9, 2),
        }}]});
        let mut found = faults("6.1", &seen);
        found.sort();
        assert_eq!(
            found,
            [
                "6.1: OfoPruned by kprobe: no recipe moved it",
                "6.1: PruneCalled by kprobe: residual 2",
            ]
        );
        seen["flavours"][0]["possible_misses"] = 1.into();
        assert_eq!(faults("6.1", &seen).len(), 1);
    }
}
