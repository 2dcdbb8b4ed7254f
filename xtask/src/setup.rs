//! Brings a machine that has only Rust to the point where everything here works.

use anyhow::{Result, bail};

use crate::{cache::Cache, process, qemu::PROGRAM};

/// Makes sure that QEMU is there.
pub(crate) fn qemu() -> Result<()> {
    if process::find(PROGRAM).is_none() {
        bail!("{PROGRAM} is not on PATH; as root:\n  apt-get install qemu-system-x86");
    }
    Ok(())
}

/// Makes sure that what a build needs is there.
pub(crate) fn build_tools(_cache: &Cache) -> Result<()> {
    Ok(())
}
