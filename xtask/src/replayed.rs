//! A capture that was recorded in a guest, replayed on this host: the report must be the one that was printed there.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::process;

/// Replays what the scenario `recorded` has left in a folder, with the `tcpress` that machines get.
pub(crate) fn check(folder: &Path, tcpress: &Path) -> Result<()> {
    let capture = folder.join("recorded.ndjson.zst");
    let printed = folder.join("recorded.json");
    let printed = fs::read_to_string(&printed)
        .with_context(|| format!("the guest has left no {}", printed.display()))?;
    let replayed = process::output(
        Command::new(tcpress)
            .arg("replay")
            .arg(&capture)
            .args(["-o", "json"]),
    )?;
    ensure!(
        replayed == printed,
        "the report that {} gives here is not the one printed in the guest",
        capture.display()
    );
    Ok(())
}
