//! A disk that outlives its guest: an image with an ext4 file system that has a journal, as a node's has. What a guest has asked the disk to
//! keep is there for the next one, however that guest ended.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    apt::Apt,
    cache::{self, Cache},
    guest, process,
};

const SUITE: &str = "trixie";
/// What makes the file system, and the links by which it finds its libraries.
const PACKAGES: [&str; 2] = ["base-files", "e2fsprogs"];
/// It is a sparse file: what is not used takes no room.
const SIZE: u64 = 128 << 20;

/// Makes the image where it lacks; one that is there is left as it is.
pub(crate) fn make(cache: &Cache, image: &Path) -> Result<()> {
    if image.exists() {
        ensure!(
            image.is_file(),
            "--keep: {} is no file; name an image, or one that is to be made",
            image.display()
        );
        return Ok(());
    }
    let root = tools(cache)?;
    let failed = || format!("--keep: cannot make {}", image.display());
    let file = File::create_new(image).with_context(failed)?;
    let words = guest::run_from(&root, "usr/sbin/mke2fs");
    let made = file.set_len(SIZE).map_err(Into::into).and_then(|()| {
        process::run(
            Command::new(&words[0])
                .args(&words[1..])
                .args(["-q", "-F", "-t", "ext4", "-O", "has_journal"])
                .arg(image)
                .env("MKE2FS_CONFIG", root.join("etc/mke2fs.conf")),
        )
    });
    if made.is_err() {
        // Half an image would be taken for a whole one.
        cache::remove(image)?;
    }
    made.with_context(failed)
}

/// The unpacked packages.
fn tools(cache: &Cache) -> Result<PathBuf> {
    let root = cache
        .path("keep")
        .join(format!("{SUITE}-{}", PACKAGES.join("-")));
    if !root.is_dir() {
        let lock = cache.lock()?;
        if !root.is_dir() {
            let apt = Apt::open(cache)?;
            lock.install(&root, |work| {
                apt.unpack_closure(SUITE, &PACKAGES.map(str::to_owned), work)
            })?;
        }
    }
    Ok(root)
}
