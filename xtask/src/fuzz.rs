//! The verb `fuzz`: each fuzz target for a while, from its corpus. What it finds that takes new ways is added there; what fails is left in
//! `fuzz/artifacts`.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};

use crate::{cache::Cache, process, setup};

/// The targets, of `fuzz/targets`.
const TARGETS: [&str; 3] = ["capture", "record", "render"];
/// Longest input: a report that fills a page takes some thousand choices.
const MAX_LENGTH: u32 = 64 << 10;
/// More memory than any input may take, in MB.
const MEMORY: u32 = 2048;

/// What libFuzzer needs to see which ways an input takes. It does not work in a static program, so these stand in place of the
/// workspace's flags.
const RUSTFLAGS: &str = "-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
                         -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
                         -C llvm-args=-sanitizer-coverage-pc-table \
                         -C llvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Runs them for so many seconds each.
pub(crate) fn run(seconds: u64, keep: bool) -> Result<i32> {
    setup::build_tools(&Cache::open()?)?;
    let folder = process::workspace()?.join("fuzz");
    for target in TARGETS {
        eprintln!("== {target}, {seconds} s");
        let corpus = folder.join("corpus").join(target);
        // Without being told to keep them, what is new goes where nobody looks.
        let found = folder.join("target/found").join(target);
        let artifacts = folder.join("artifacts").join(target);
        for folder in [&found, &artifacts] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let (first, second) = if keep {
            (&corpus, &found)
        } else {
            (&found, &corpus)
        };
        let mut command = Command::new(process::cargo().get_program());
        command
            .args(["run", "--quiet", "--release", "--bin", target, "--"])
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_LENGTH}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg("-timeout=20")
            .arg("-print_final_stats=1")
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args([first, second])
            .current_dir(&folder)
            .env("RUSTFLAGS", RUSTFLAGS);
        process::run(&mut command)
            .with_context(|| format!("{target} failed on what lies in {}", artifacts.display()))?;
    }
    Ok(0)
}
