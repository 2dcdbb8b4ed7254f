//! Builds our own programs in the form that runs in guests: static, optimised.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{cache::Cache, process, setup};

/// Builds `tcpress` and `lab` and returns where cargo put them.
pub(crate) fn build(cache: &Cache) -> Result<Vec<PathBuf>> {
    setup::build_tools(cache)?;
    let mut cargo = process::cargo()
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "tracer",
            "--package",
            "tests",
            "--bins",
        ])
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
