//! The one folder where downloads, kernels and tools live. It knows how to hold things, not what
//! they are: every piece is put in place by a rename, so a half-installed piece is never seen.

use std::{
    env, fs,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context as _, Result, bail};

/// The cache folder of this user.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Keeps other runs from changing the cache until it is dropped, and so may change it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    work: PathBuf,
}

impl Cache {
    /// Opens `${XDG_CACHE_HOME:-$HOME/.cache}/tcpress`, making it if it is not there.
    pub(crate) fn open() -> Result<Self> {
        let absolute = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let Some(base) =
            absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        else {
            bail!("there is no place for the cache: set HOME or XDG_CACHE_HOME to a full path");
        };
        let root = base.join("tcpress");
        fs::create_dir_all(&root).with_context(|| {
            format!(
                "cannot make the cache folder {}; set XDG_CACHE_HOME to a folder you may write",
                root.display()
            )
        })?;
        Ok(Self { root })
    }

    /// The path of a piece, whether it is there or not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder of the cache, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Waits until no other run changes the cache, and keeps it so while the lock lives.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.root.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("waiting for another run that is changing the cache");
                file.lock()
                    .with_context(|| format!("cannot lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(Lock {
            _file: file,
            work: self.root.join("partial"),
        })
    }

    /// The bytes that the cache takes on disk, and its path, in words.
    pub(crate) fn summary(&self) -> String {
        format!(
            "cache: {} MB in {}",
            size(&self.root) / 1_000_000,
            self.root.display()
        )
    }

    /// Removes everything but the lock file, which other runs may be waiting on.
    pub(crate) fn clean(&self) -> Result<()> {
        let _lock = self.lock()?;
        println!("{}", self.summary());
        let entries = fs::read_dir(&self.root)
            .with_context(|| format!("cannot read {}", self.root.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name != "lock") {
                remove(&path)?;
            }
        }
        println!("emptied");
        Ok(())
    }
}

impl Lock {
    /// Makes the folder `destination` by way of a temporary one that `fill` fills; whatever stood
    /// at `destination` before is replaced, and a failure leaves nothing behind.
    pub(crate) fn install(
        &self,
        destination: &Path,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let work = &self.work;
        // What is there was left by a run that was killed: nobody else works here now.
        remove(work)?;
        fs::create_dir_all(work).with_context(|| format!("cannot make {}", work.display()))?;
        if let Err(error) = fill(work) {
            remove(work)?;
            return Err(error);
        }
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        remove(destination)?;
        fs::rename(work, destination)
            .with_context(|| format!("cannot put {} in place", destination.display()))
    }
}

/// Points the symbolic link `link` at `target` in one step.
pub(crate) fn replace_link(target: &Path, link: &Path) -> Result<()> {
    let mut name = link.as_os_str().to_owned();
    name.push(format!(".{}", process::id()));
    let work = PathBuf::from(name);
    remove(&work)?;
    std::os::unix::fs::symlink(target, &work)
        .and_then(|()| fs::rename(&work, link))
        .with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

/// Removes a file, a link or a whole folder; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
    .with_context(|| format!("cannot remove {}", path.display()))
}

fn size(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let below: u64 = if metadata.is_dir() {
        fs::read_dir(path)
            .map(|entries| entries.flatten().map(|entry| size(&entry.path())).sum())
            .unwrap_or(0)
    } else {
        0
    };
    metadata.blocks() * 512 + below
}
