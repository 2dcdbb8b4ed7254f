//! Folders for tests: a tree of files under the machine's temporary folder, removed at the end.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// A folder of its own that vanishes when dropped.
pub(crate) struct Fixture(PathBuf);

impl Fixture {
    /// An empty one.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tcpress-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A file with its folders.
    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let full = self.0.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, text).unwrap();
        self
    }

    /// A folder with its parents.
    pub(crate) fn dir(&self, path: &str) -> &Self {
        fs::create_dir_all(self.0.join(path)).unwrap();
        self
    }

    /// A symbolic link, usually dangling as those of `/proc` look.
    pub(crate) fn link(&self, path: &str, target: &str) -> &Self {
        let full = self.0.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        symlink(target, full).unwrap();
        self
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // A folder left behind in the temporary folder is no reason to fail a test.
        let _ = fs::remove_dir_all(&self.0);
    }
}
