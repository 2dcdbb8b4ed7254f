//! Finding the `tcpress` that belongs to this build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The binary: `TCPRESS` if set, else the one of this build's own profile, built (or found fresh) once.
pub(crate) fn tcpress() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| std::env::var_os("TCPRESS").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    // `lab` lies in the folder of the profile, where `tcpress` will be too.
    let folder = Path::new(env!("CARGO_BIN_EXE_lab"))
        .parent()
        .expect("a folder");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args([
        "build",
        "--quiet",
        "--package",
        "tracer",
        "--bin",
        "tcpress",
    ]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "tcpress could not be built");
    folder.join("tcpress")
}
