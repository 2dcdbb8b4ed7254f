//! Builds our own programs in the form that runs in guests: static, optimised.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cache::Cache, process, setup};

/// Builds `tcpress` and `lab` and returns where cargo put them.
pub(crate) fn build(cache: &Cache) -> Result<Vec<PathBuf>> {
    programs(cache, &["tracer", "tests"])
}

/// Builds tcpress and returns where cargo put it.
pub(crate) fn tcpress(cache: &Cache) -> Result<PathBuf> {
    Ok(tcpress_of(&programs(cache, &["tracer"])?)?.to_owned())
}

/// The one of several programs that is tcpress.
pub(crate) fn tcpress_of(programs: &[PathBuf]) -> Result<&Path> {
    let tcpress = programs.iter().find(|path| path.ends_with("tcpress"));
    tcpress
        .map(PathBuf::as_path)
        .context("cargo built no tcpress")
}

/// Builds tcpress and becomes it.
pub(crate) fn exec(args: &[String]) -> Result<i32> {
    let tcpress = tcpress(&Cache::open()?)?;
    let error = Command::new(&tcpress).args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", tcpress.display()))
}

fn programs(cache: &Cache, packages: &[&str]) -> Result<Vec<PathBuf>> {
    setup::build_tools(cache)?;
    let mut command = process::cargo();
    command.args(["build", "--release", "--quiet", "--bins"]);
    for package in packages {
        command.args(["--package", package]);
    }
    let mut cargo = command
        .arg("--message-format=json-render-diagnostics")
        .current_dir(process::workspace()?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut programs = Vec::new();
    if let Some(messages) = cargo.stdout.take() {
        for line in BufReader::new(messages).lines() {
            let message: Value = serde_json::from_str(&line?).unwrap_or_default();
            if let Some(path) = message["executable"].as_str() {
                programs.push(PathBuf::from(path));
            }
        }
    }
    if !cargo.wait().context("cargo was lost")?.success() {
        bail!("tcpress could not be built; the errors are above");
    }
    if programs.is_empty() {
        bail!("cargo built no program");
    }
    Ok(programs)
}
