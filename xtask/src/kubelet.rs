//! A real kubelet: of Debian's source package `kubernetes`, which holds the whole tree and all that it needs, by Debian's Go. It is
//! built only where somebody asks for it, which takes some minutes, and kept in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    apt::Apt,
    cache::{self, Cache},
    process,
};

/// The suite that has it last: 1.20, whose kubelet speaks CRI v1alpha2, and containerd 1.7 does too.
const SUITE: &str = "bookworm";
const SOURCE: &str = "kubernetes";
/// The compiler, and the library that comes as source.
const GO: [&str; 2] = ["golang-1.19-go", "golang-1.19-src"];
const GO_ROOT: &str = "usr/lib/go-1.19";
const PACKAGE: &str = "k8s.io/kubernetes";

/// The program, built where it lacks.
pub(crate) fn resolve(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.path("kubelet").join(format!("{SUITE}-{}", GO[0]));
    let program = folder.join("kubelet");
    if program.is_file() {
        return Ok(program);
    }
    let lock = cache.lock()?;
    if program.is_file() {
        return Ok(program);
    }
    let apt = Apt::open_for_sources(cache, SUITE)?;
    lock.install(&folder, |work| {
        let go = work.join("go");
        apt.unpack(&GO.map(str::to_owned), &go)?;
        let archives = work.join("archives");
        apt.source(SOURCE, &archives)?;
        let tree = work.join("path/src").join(PACKAGE);
        unpack(&archives, &tree)?;
        eprintln!("building the kubelet (about 5 minutes)");
        build(&go.join(GO_ROOT), work, &tree)?;
        for done in ["go", "archives", "path", "build"] {
            cache::remove(&work.join(done))?;
        }
        Ok(())
    })?;
    Ok(program)
}

/// The tree as its authors have published it; Debian's patches are about its packaging.
fn unpack(archives: &Path, tree: &Path) -> Result<()> {
    fs::create_dir_all(tree).with_context(|| format!("cannot make {}", tree.display()))?;
    let names = fs::read_dir(archives)?.flatten().map(|entry| entry.path());
    let orig = names.into_iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.contains(".orig.tar.")
    });
    let orig = orig.with_context(|| format!("no archive of {SOURCE} was fetched"))?;
    process::run(
        Command::new("tar")
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(&orig)
            .arg("--directory")
            .arg(tree),
    )
    .with_context(|| format!("{} could not be unpacked", orig.display()))
}

/// In the way of before modules: what it needs lies in the tree. Static, as the guest has no libraries for it.
fn build(go: &Path, work: &Path, tree: &Path) -> Result<()> {
    process::run(
        Command::new(go.join("bin/go"))
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
            .arg(work.join("kubelet"))
            .arg(format!("{PACKAGE}/cmd/kubelet"))
            .current_dir(tree)
            .env("GOROOT", go)
            .env("GOPATH", work.join("path"))
            .env("GOCACHE", work.join("build"))
            .env("GO111MODULE", "off")
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", ""),
    )
    .context("the kubelet could not be built; it takes 3 GB of disk and 2 GB of memory")
}
