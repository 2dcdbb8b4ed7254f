//! The verb `e2e`: scenarios with pods of a real containerd on each kernel, and the page that says what was true and what tcpress
//! said.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    cache::Cache,
    e2e_page,
    kernels::Kernel,
    kubelet,
    pairs::{self, Job},
    process,
    qemu::Folder,
    tally::Tally,
    vm::{Parts, Settings},
};

/// The kernels that the page is about.
pub(crate) const KERNELS: &str = "6.1,6.12";
/// What was seen last on each kernel.
const KEPT: &str = "tests/e2e";
/// What stands before a kernel's name where a kubelet ran the node.
const BY_KUBELET: &str = "kubelet-";
const PAGE: &str = "docs/e2e.md";
/// Seconds for all scenarios on one kernel, two machines at a time on two busy cores.
const LIMIT: u64 = 3000;
/// Seconds for the incident alone.
const INCIDENT_LIMIT: u64 = 480;
const MEMORY: &str = "2G";
/// The kubelet's program is first in the archive that boots the machine, then on its disk, then in memory.
const KUBELET_MEMORY: &str = "3G";

/// A machine whose root is the disk of a node.
fn settings(timeout: u64) -> Settings {
    Settings {
        node: true,
        memory: MEMORY.to_owned(),
        timeout,
        ..Settings::default()
    }
}

/// The incident alone, on one kernel.
pub(crate) fn incident(kernel: &Kernel) -> Job<'_> {
    let mut job = Job::new(kernel, settings(INCIDENT_LIMIT), "lab e2e incident");
    job.label.push_str(" end to end");
    job
}

/// Plays scenarios, all where none is named, on each kernel of the list. A run of all on all kernels of the page writes the page.
/// Reports are left in a folder for whoever looks into a failure.
pub(crate) fn run(list: &str, scenarios: &[String]) -> Result<i32> {
    let parts = Parts::prepare(list, None)?;
    let folder = Folder::new()?;
    let mut command = "lab e2e --out /share/out".to_owned();
    for scenario in scenarios {
        command.push(' ');
        command.push_str(scenario);
    }
    let mut jobs = Vec::new();
    for kernel in &parts.kernels {
        let share = folder.path(&kernel.name);
        fs::create_dir_all(&share).context("cannot make a folder to share")?;
        let mut job = Job::new(kernel, settings(LIMIT), &command);
        job.settings.share = Some(share);
        jobs.push(job);
    }
    let (tally, seen) = play(&parts, &jobs);
    print(&seen)?;
    let reports = keep_reports(&seen)?;
    let full = scenarios.is_empty() && list == KERNELS;
    if full {
        keep(&seen, "")?;
        write_page()?;
        println!("see {PAGE}");
    }
    println!("reports: {}\n{}", reports.display(), tally.report());
    Ok(i32::from(!tally.good()))
}

/// Plays the incident on each kernel of the list, with the pods of a real kubelet. A run on all kernels of the page writes the page.
pub(crate) fn with_kubelet(list: &str) -> Result<i32> {
    let parts = Parts::prepare(list, None)?;
    let program = kubelet::resolve(&Cache::open()?)?;
    let folder = Folder::new()?;
    let mut jobs = Vec::new();
    for kernel in &parts.kernels {
        let share = folder.path(&kernel.name);
        fs::create_dir_all(&share).context("cannot make a folder to share")?;
        let name = share.join("kubelet");
        fs::copy(&program, &name).with_context(|| format!("cannot write {}", name.display()))?;
        let command = "lab e2e --out /share/out --kubelet /share/kubelet";
        let mut job = Job::new(kernel, settings(LIMIT), command);
        job.settings.memory = KUBELET_MEMORY.to_owned();
        job.settings.share = Some(share);
        jobs.push(job);
    }
    let (tally, seen) = play(&parts, &jobs);
    print(&seen)?;
    let reports = keep_reports(&seen)?;
    if list == KERNELS {
        keep(&seen, BY_KUBELET)?;
        write_page()?;
        println!("see {PAGE}");
    }
    println!("reports: {}\n{}", reports.display(), tally.report());
    Ok(i32::from(!tally.good()))
}

/// Runs the jobs; how they ended, and where each has left what was seen.
fn play(parts: &Parts, jobs: &[Job<'_>]) -> (Tally, Vec<(String, PathBuf)>) {
    let mut tally = Tally::default();
    for run in pairs::run(parts, jobs) {
        match run.status {
            Ok(status) => tally.scenarios(&run.label, &run.stdout, status),
            Err(error) => tally.fail(format!("{}: {error:#}", run.label)),
        }
    }
    let seen = jobs
        .iter()
        .filter_map(|job| Some((job.label.clone(), job.settings.share.as_ref()?.join("out"))))
        .collect();
    (tally, seen)
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The table of what was just seen, as far as machines came to their end.
fn print(seen: &[(String, PathBuf)]) -> Result<()> {
    let mut kernels = Vec::new();
    for (name, out) in seen {
        let file = out.join("e2e.json");
        if file.is_file() {
            kernels.push((name.clone(), read(&file)?));
        }
    }
    println!("{}", e2e_page::table(&kernels));
    Ok(())
}

/// Copies all reports to a folder of the build.
fn keep_reports(seen: &[(String, PathBuf)]) -> Result<PathBuf> {
    let to = process::workspace()?.join("target/e2e");
    for (name, out) in seen {
        let to = to.join(name);
        fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
        for entry in fs::read_dir(out).into_iter().flatten().flatten() {
            fs::copy(entry.path(), to.join(entry.file_name()))
                .with_context(|| format!("cannot copy a report to {}", to.display()))?;
        }
    }
    Ok(to)
}

/// Takes over what was seen on all kernels of the page, in files whose names begin with `prefix`.
fn keep(seen: &[(String, PathBuf)], prefix: &str) -> Result<()> {
    let kept = process::workspace()?.join(KEPT);
    fs::create_dir_all(&kept).with_context(|| format!("cannot make {}", kept.display()))?;
    for (name, out) in seen {
        let from = out.join("e2e.json");
        if !from.is_file() {
            bail!("{name}: the run did not come to its end: {PAGE} stays as it was");
        }
        fs::copy(&from, kept.join(format!("{prefix}{name}.json")))
            .with_context(|| format!("cannot copy to {}", kept.display()))?;
    }
    Ok(())
}

fn write_page() -> Result<()> {
    let root = process::workspace()?;
    let path = root.join(PAGE);
    fs::write(&path, page(&root)?).with_context(|| format!("cannot write {}", path.display()))
}

/// The page of what was seen last.
fn page(root: &Path) -> Result<String> {
    let kept = |prefix: &str| -> Result<Vec<(String, Value)>> {
        let names = KERNELS.split(',');
        names
            .map(|name| {
                let file = root.join(KEPT).join(format!("{prefix}{name}.json"));
                Ok((name.to_owned(), read(&file)?))
            })
            .collect()
    };
    Ok(e2e_page::page(&kept("")?, &kept(BY_KUBELET)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_was_seen() {
        let root = process::workspace().unwrap();
        let there = fs::read_to_string(root.join(PAGE)).unwrap();
        assert!(
            there == page(&root).unwrap(),
            "{PAGE} is not made from {KEPT}"
        );
    }
}
