//! A real kubelet: of Debian's source package `kubernetes`, which holds the whole tree and all that it needs, by Debian's Go. It is
//! built only where somebody asks for it, which takes some minutes, and kept in the cache.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
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
/// Where its sources import each other from.
const PACKAGE: &str = "k8s.io/kubernetes";
/// Without paths of this machine, symbols and debug information.
const FLAGS: [&str; 3] = ["-trimpath", "-ldflags", "-s -w"];

/// The program, built where it lacks.
pub(crate) fn resolve(cache: &Cache) -> Result<PathBuf> {
    let folder = place(cache);
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

/// Named by what it is made of and how, so that a change of the recipe makes another one.
fn place(cache: &Cache) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (SOURCE, GO, PACKAGE, FLAGS).hash(&mut hasher);
    let name = format!("{SUITE}-{:016x}", hasher.finish());
    cache.path("kubelet").join(name)
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

/// In the way of before modules, as what it needs lies in the tree. Static, so that it runs on any disk. Settings of whoever has a Go
/// of their own stay outside.
fn build(go: &Path, work: &Path, tree: &Path) -> Result<()> {
    process::run(
        Command::new(go.join("bin/go"))
            .arg("build")
            .args(FLAGS)
            .arg("-o")
            .arg(work.join("kubelet"))
            .arg(format!("{PACKAGE}/cmd/kubelet"))
            .current_dir(tree)
            .env("GOROOT", go)
            .env("GOPATH", work.join("path"))
            .env("GOCACHE", work.join("build"))
            .env("GO111MODULE", "off")
            .env("CGO_ENABLED", "0")
            .env("GOENV", "off")
            .env("GOFLAGS", ""),
    )
    .context(
        "the kubelet could not be built: what Go said is above. It takes 4 GB of disk where the cache is and in the folder for \
         temporary files, and 2 GB of memory; with these free, try again",
    )
}
