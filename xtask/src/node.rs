//! The disk of a guest that is a node: a small Debian with containerd, runc, the CNI plugins and Redis. Its packages are
//! unpacked, not installed, and nothing of ours is on it: our programs are copied there when the guest boots. QEMU never
//! writes to it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    apt::Apt,
    cache::{self, Cache},
    guest, process,
};

/// The suite whose containerd is 1.7: it serves CRI v1, and v1alpha2 too.
const SUITE: &str = "trixie";
const PACKAGES: [&str; 20] = [
    // What the guest's init and a person at a shell need.
    "base-files",
    "dash",
    "coreutils",
    "util-linux",
    "mount",
    "grep",
    "sed",
    "tar",
    "gzip",
    "findutils",
    "procps",
    "hostname",
    "iproute2",
    "busybox",
    // What makes it a node.
    "containerd",
    "runc",
    "containernetworking-plugins",
    "redis-server",
    "redis-tools",
    // What makes the disk.
    "e2fsprogs",
];
/// Programs of busybox that no package above brings: the kernel's modules, and the way out.
const APPLETS: [&str; 4] = ["insmod", "modprobe", "lsmod", "poweroff"];
/// Room on the disk. It is a sparse file: what is not used takes none.
const SIZE: &str = "3G";

/// The disk, if it is in the cache.
pub(crate) fn cached(cache: &Cache) -> Option<PathBuf> {
    let disk = place(cache).join("disk");
    disk.is_file().then_some(disk)
}

/// The same, made where it lacks.
pub(crate) fn resolve(cache: &Cache) -> Result<PathBuf> {
    if let Some(disk) = cached(cache) {
        return Ok(disk);
    }
    let lock = cache.lock()?;
    if let Some(disk) = cached(cache) {
        return Ok(disk);
    }
    let apt = Apt::open(cache)?;
    let folder = place(cache);
    lock.install(&folder, |work| {
        let root = work.join("root");
        apt.unpack_closure(SUITE, &PACKAGES.map(str::to_owned), &root)?;
        trim(&root).context("Debian's packages are not as expected")?;
        make(&root, &work.join("disk"))?;
        cache::remove(&root)
    })?;
    Ok(folder.join("disk"))
}

/// Named by what is in it, so that a change of the recipe makes another one.
fn place(cache: &Cache) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (PACKAGES, APPLETS, SIZE).hash(&mut hasher);
    let name = format!("{SUITE}-{:016x}", hasher.finish());
    cache.path("node").join(name)
}

/// Takes away what no guest reads, and adds what a package's own script would have linked.
fn trim(root: &Path) -> Result<()> {
    // A package that still has files of its own in /bin, unpacked before this link, would have kept it from being made.
    ensure!(
        root.join("bin").is_symlink(),
        "/bin is not a link to /usr/bin"
    );
    for unread in ["doc", "info", "locale", "man"] {
        cache::remove(&root.join("usr/share").join(unread))?;
    }
    for applet in APPLETS {
        let link = root.join("usr/sbin").join(applet);
        symlink("../bin/busybox", &link)
            .with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(())
}

/// Writes the folder `root` as a file system, by the program that is in it.
fn make(root: &Path, disk: &Path) -> Result<()> {
    let words = guest::run_from(root, "usr/sbin/mke2fs");
    // Without a journal: nothing on it has to live through a crash.
    process::run(
        Command::new(&words[0])
            .args(&words[1..])
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"])
            .arg(root)
            .arg(disk)
            .arg(SIZE)
            .env("MKE2FS_CONFIG", root.join("etc/mke2fs.conf")),
    )
    .with_context(|| {
        format!(
            "the disk of the node could not be made; is there room for it in {}?",
            disk.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_nobody_reads_goes_and_what_scripts_would_link_is_there() {
        let root = std::env::temp_dir().join(format!("tcpress-node-{}", std::process::id()));
        for folder in ["usr/share/man/man1", "usr/share/keep", "usr/sbin"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        assert!(trim(&root).is_err());
        symlink("usr/bin", root.join("bin")).unwrap();
        trim(&root).unwrap();
        let there = |path: &str| root.join(path).symlink_metadata().is_ok();
        let seen = [
            there("usr/share/man"),
            there("usr/share/keep"),
            there("usr/sbin/poweroff"),
        ];
        cache::remove(&root).unwrap();
        assert_eq!(seen, [false, true, true]);
    }
}
