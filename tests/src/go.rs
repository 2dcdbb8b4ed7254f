//! The word that a recipe waits for before it goes on: a file that appears.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A word that was not given yet; the file goes when this is dropped.
pub struct Go(PathBuf);

impl Go {
    /// One of this name, for recipes that see the same `/tmp`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::at(Path::new("/tmp").join(format!("tcpress-lab-{name}")))
    }

    /// One whose file lies where all see it who wait for it.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        // What an earlier run left would let them go on too soon; usually there is nothing.
        let _ = fs::remove_file(&path);
        Self(path)
    }

    /// Gives it.
    pub fn give(&self) -> Result<()> {
        fs::write(&self.0, "").context("cannot give the word")
    }
}

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
