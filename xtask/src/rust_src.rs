//! The sources of Rust's library, from which `core` is built for the BPF target. They must be those
//! of exactly the running toolchain.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::Apt,
    cache::{self, Cache, Lock},
    debian, process,
    process::output,
};

/// The running toolchain.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    /// Its folder.
    pub(crate) sysroot: PathBuf,
    /// Its version, such as `1.95.0`.
    pub(crate) release: String,
}

impl Toolchain {
    /// Asks rustc.
    pub(crate) fn find() -> Result<Self> {
        let rustc = |arg: &[&str]| {
            output(
                Command::new("rustc")
                    .args(arg)
                    .current_dir(process::workspace()?),
            )
            .context("Rust is needed to set up the rest; see README.md")
        };
        let about = rustc(&["--version", "--verbose"])?;
        let release = about
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .context("rustc does not tell its version")?;
        Ok(Self {
            sysroot: PathBuf::from(rustc(&["--print", "sysroot"])?.trim()),
            release: release.to_owned(),
        })
    }

    /// Whether the sources are there. A link that leads nowhere, or a part of them, does not count.
    pub(crate) fn has_sources(&self) -> bool {
        let library = self.place().join("library");
        ["Cargo.toml", "Cargo.lock", "core/src/lib.rs"]
            .iter()
            .all(|name| library.join(name).is_file())
    }

    fn place(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    /// Gets the sources from rustup, or else from Debian's package of the same version.
    pub(crate) fn get_sources(&self, cache: &Cache) -> Result<()> {
        let lock = cache.lock()?;
        if self.has_sources() || self.by_rustup()? {
            return Ok(());
        }
        eprintln!("looking for Debian's package rust-src {}", self.release);
        let found = self
            .by_debian(cache, &lock)
            .with_context(|| format!("rust-src for rustc {} could not be had", self.release));
        let unpacked = found.with_context(|| {
            "the BPF programs cannot be built without it; where rustup reaches its server, this \
             helps:\n  rustup component add rust-src\n"
                .to_owned()
        })?;
        self.link(&unpacked)
    }

    fn by_rustup(&self) -> Result<bool> {
        if process::find("rustup").is_none() {
            return Ok(false);
        }
        eprintln!("rustup component add rust-src");
        let result = output(
            Command::new("rustup")
                .args(["component", "add", "rust-src"])
                .env("RUST_BACKTRACE", "0")
                .current_dir(process::workspace()?),
        );
        if let Err(error) = result {
            let text = format!("{error:#}");
            let why = text.lines().find(|line| line.starts_with("error"));
            eprintln!("rustup has it not: {}", why.unwrap_or("it failed"));
        }
        Ok(self.has_sources())
    }

    fn by_debian(&self, cache: &Cache, lock: &Lock) -> Result<PathBuf> {
        let apt = Apt::open(cache)?;
        let versions = apt.versions("rust-src")?;
        let same = |version: &&String| {
            version
                .strip_prefix(&self.release)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', '-', '~']))
        };
        let Some(version) = versions
            .iter()
            .filter(same)
            .max_by(|left, right| debian::compare(left, right))
        else {
            bail!("Debian offers rust-src only as {}", versions.join(", "));
        };
        let folder = cache.path("tools").join(format!("rust-src_{version}"));
        lock.install(&folder, |work| {
            apt.unpack(&[format!("rust-src={version}")], work)
        })?;
        fs::read_dir(folder.join("usr/src"))
            .context("the package rust-src has no folder usr/src")?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.join("library").is_dir())
            .context("the package rust-src holds no library")
    }

    fn link(&self, unpacked: &Path) -> Result<()> {
        let place = self.place();
        let commands = format!(
            "the toolchain's folder cannot be changed; as its owner:\n  mkdir -p {0}\n  \
             ln -sfn {1} {2}",
            self.sysroot.join("lib/rustlib/src").display(),
            unpacked.display(),
            place.display(),
        );
        if place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            bail!(
                "{0} is there but not whole; remove it and try again:\n  rm -r {0}",
                place.display()
            );
        }
        fs::create_dir_all(self.sysroot.join("lib/rustlib/src"))
            .map_err(anyhow::Error::from)
            .and_then(|()| cache::replace_link(unpacked, &place))
            .context(commands)?;
        if !self.has_sources() {
            bail!("Debian's rust-src is not laid out as expected");
        }
        Ok(())
    }
}
