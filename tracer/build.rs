//! Builds the kernel object beside the binary that carries it.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain};

fn main() {
    if let Err(error) = build() {
        // One line: a panic or a `Result` from main would bury it in a backtrace.
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    println!("cargo:rerun-if-env-changed=PATH");
    println!("cargo:rerun-if-env-changed=XDG_CACHE_HOME");
    put_tools_on_path()?;
    check_tools()?;

    // SAFETY: nothing else runs in this build script. The variable unlocks `-Z build-std` in the stable
    // toolchain, for the kernel object only: set outside, host crates would probe for nightly too.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    let toolchain = env::var("RUSTUP_TOOLCHAIN")
        .context("cargo was not started by rustup: RUSTUP_TOOLCHAIN is not set")?;
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest
        .parent()
        .context("the crate has no parent folder")?;
    println!(
        "cargo:rerun-if-changed={}",
        root.join("tracer-common").display()
    );
    let object = root.join("tracer-ebpf");
    let features: &[&str] = if env::var_os("CARGO_FEATURE_LOG").is_some() {
        &["log"]
    } else {
        &[]
    };
    aya_build::build_ebpf(
        [Package {
            name: "tracer-ebpf",
            root_dir: object
                .to_str()
                .context("the path of the project is not UTF-8")?,
            features,
            ..Package::default()
        }],
        Toolchain::Custom(&toolchain),
    )
}

/// `cargo xtask setup` installs the linker into the project's cache, not into the user's PATH.
fn put_tools_on_path() -> Result<()> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let mut path = vec![cache.join("tcpress/tools/bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    // SAFETY: nothing else runs in this build script.
    unsafe { env::set_var("PATH", env::join_paths(path)?) };
    Ok(())
}

fn check_tools() -> Result<()> {
    let sysroot = Command::new(env::var_os("RUSTC").context("RUSTC is not set")?)
        .args(["--print", "sysroot"])
        .output()
        .context("cannot run rustc")?;
    let source = PathBuf::from(String::from_utf8(sysroot.stdout)?.trim())
        .join("lib/rustlib/src/rust/library/core/src/lib.rs");
    let linker = Command::new("bpf-linker").arg("--version").output();
    let lacking = match (source.exists(), linker.is_ok()) {
        (true, true) => return Ok(()),
        (false, true) => "rust-src is",
        (true, false) => "bpf-linker is",
        (false, false) => "rust-src and bpf-linker are",
    };
    bail!("{lacking} missing: run `cargo xtask setup`")
}
