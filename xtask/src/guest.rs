//! The programs of a guest besides our own: busybox, and `ip`, `tc`, `ss` with their libraries.
//! They come from Debian packages, so the host needs none of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    apt::Apt,
    cache::{self, Cache},
    process::output,
};

/// One suite for all, so that programs and libraries fit each other.
const SUITE: &str = "trixie";
/// Not busybox-static: its shell prefers its own `ip` to the real one.
const PACKAGES: [&str; 2] = ["iproute2", "busybox"];
const TOOLS: [&str; 4] = ["ip", "tc", "ss", "busybox"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The folder that becomes the root of a guest, if it is in the cache.
pub(crate) fn cached(cache: &Cache) -> Option<PathBuf> {
    let root = place(cache);
    root.join("bin/busybox").is_file().then_some(root)
}

/// The words that start busybox on this host, which may lack the libraries it needs.
pub(crate) fn busybox(root: &Path) -> Vec<String> {
    run_from(root, "bin/busybox")
}

/// The words that start a program of Debian's packages below `root` with the libraries that came along.
pub(crate) fn run_from(root: &Path, program: &str) -> Vec<String> {
    let path = |name: PathBuf| name.to_string_lossy().into_owned();
    vec![
        path(root.join("lib64").join(LOADER)),
        "--library-path".to_owned(),
        path(root.join(LIBRARIES)),
        path(root.join(program)),
    ]
}

/// The same, made where it lacks.
pub(crate) fn resolve(cache: &Cache) -> Result<PathBuf> {
    if let Some(root) = cached(cache) {
        return Ok(root);
    }
    let lock = cache.lock()?;
    if let Some(root) = cached(cache) {
        return Ok(root);
    }
    let apt = Apt::open(cache)?;
    let root = place(cache);
    lock.install(&root, |work| {
        let unpacked = work.join("unpacked");
        apt.unpack_closure(SUITE, &PACKAGES.map(str::to_owned), &unpacked)?;
        fill(&unpacked, work).context("Debian's packages are not as expected")?;
        cache::remove(&unpacked)
    })?;
    Ok(root)
}

/// Named by what is in it, so that a change of the recipe makes another one.
fn place(cache: &Cache) -> PathBuf {
    let name = format!("{SUITE}-{}", PACKAGES.join("-"));
    cache.path("guest").join(name)
}

fn fill(unpacked: &Path, root: &Path) -> Result<()> {
    for folder in ["bin", "lib64", LIBRARIES] {
        fs::create_dir_all(root.join(folder))?;
    }
    let libraries = unpacked.join(LIBRARIES);
    let copy = |from: &Path, to: PathBuf| {
        fs::copy(from, &to)
            .map(|_| ())
            .with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&libraries.join(LOADER), root.join("lib64").join(LOADER))?;
    for tool in TOOLS {
        let program = ["usr/bin", "usr/sbin", "bin", "sbin"]
            .iter()
            .map(|folder| unpacked.join(folder).join(tool))
            .find(|path| path.is_file())
            .with_context(|| format!("no package holds {tool}"))?;
        copy(&program, root.join("bin").join(tool))?;
        for name in needed(&libraries, &program)? {
            copy(&libraries.join(&name), root.join(LIBRARIES).join(&name))?;
        }
    }
    // The delay distributions of netem.
    let tables = unpacked.join("usr/lib/tc");
    if tables.is_dir() {
        fs::rename(tables, root.join("usr/lib/tc"))?;
    }
    let words = busybox(root);
    for applet in output(Command::new(&words[0]).args(&words[1..]).arg("--list"))?.lines() {
        let link = root.join("bin").join(applet);
        if !link.exists() {
            std::os::unix::fs::symlink("busybox", link)?;
        }
    }
    Ok(())
}

/// The libraries that a program loads, as the packages' own loader finds them.
fn needed(libraries: &Path, program: &Path) -> Result<Vec<String>> {
    let list = output(
        Command::new(libraries.join(LOADER))
            .arg("--library-path")
            .arg(libraries)
            .arg("--list")
            .arg(program),
    )?;
    // Lines are "name => path (address)", and for the loader itself and the vdso just "name".
    let name = |line: &str| Some(line.split_once(" => ")?.0.trim().to_owned());
    Ok(list
        .lines()
        .filter_map(name)
        .filter(|name| !name.contains('/'))
        .collect())
}
