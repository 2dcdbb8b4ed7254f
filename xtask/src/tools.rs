//! Programs that are built from crates.io into the cache, where nothing else on the machine sees
//! them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    cache::{self, Cache},
    process::{self, output},
    rust_src::Toolchain,
};

/// A program to build.
#[derive(Debug)]
pub(crate) struct Tool {
    /// Its crate, and its program.
    pub(crate) name: &'static str,
    /// The versions that serve.
    version: &'static str,
    /// Whether it is built once for each toolchain.
    by_toolchain: bool,
}

/// The linker of BPF programs. 0.10 is the last line that uses the LLVM which rustc brings along;
/// later ones need one installed.
pub(crate) const BPF_LINKER: Tool = Tool {
    name: "bpf-linker",
    version: "~0.10",
    by_toolchain: true,
};

/// Checks licences and sources of all dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "~0.20",
    by_toolchain: false,
};

impl Tool {
    /// Where the program is to be found. `tracer/build.rs` relies on this folder.
    pub(crate) fn path(&self, cache: &Cache) -> PathBuf {
        cache.path("tools/bin").join(self.name)
    }

    /// Whether the program is there and runs.
    pub(crate) fn present(&self, cache: &Cache, toolchain: &Toolchain) -> bool {
        let path = self.path(cache);
        let ours = path.canonicalize().is_ok_and(|found| {
            Some(found)
                == self
                    .folder(cache, toolchain)
                    .join("bin")
                    .join(self.name)
                    .canonicalize()
                    .ok()
        });
        ours && self.runs(&path, toolchain).is_ok()
    }

    /// Builds the program. Its folder's name says what it was built from and for.
    pub(crate) fn build(&self, cache: &Cache, toolchain: &Toolchain) -> Result<()> {
        let lock = cache.lock()?;
        if self.present(cache, toolchain) {
            return Ok(());
        }
        let folder = self.folder(cache, toolchain);
        lock.install(&folder, |work| {
            let target = work.join("target");
            self.install(work, &target)?;
            cache::remove(&target)?;
            self.runs(&work.join("bin").join(self.name), toolchain)
        })?;
        let links = cache.folder("tools/bin")?;
        cache::replace_link(&folder.join("bin").join(self.name), &links.join(self.name))
    }

    fn folder(&self, cache: &Cache, toolchain: &Toolchain) -> PathBuf {
        let mut name = format!("{}-{}", self.name, self.version.trim_start_matches('~'));
        if self.by_toolchain {
            name.push_str(&format!("-rustc-{}", toolchain.release));
        }
        cache.path("tools").join(name)
    }

    fn install(&self, root: &Path, target: &Path) -> Result<()> {
        let mut cargo = process::cargo();
        cargo
            .args(["install", self.name, "--version", self.version, "--locked"])
            .args(["--no-track", "--root"])
            .arg(root)
            .arg("--target-dir")
            .arg(target)
            // Outside the workspace, whose settings ask for static programs.
            .current_dir(root);
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            cargo.env_remove(name);
        }
        // Built once and run for a second: a quick build matters more than quick code.
        cargo
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
        process::run(&mut cargo).with_context(|| {
            format!(
                "{} could not be built; check that cargo reaches its registry",
                self.name
            )
        })
    }

    fn runs(&self, path: &Path, toolchain: &Toolchain) -> Result<()> {
        // bpf-linker loads the LLVM library of the toolchain.
        output(
            Command::new(path)
                .arg("--version")
                .env("LD_LIBRARY_PATH", toolchain.sysroot.join("lib")),
        )
        .map(|_| ())
    }
}
