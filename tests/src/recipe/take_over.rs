//! Takes the connections of another process over, by their descriptors, and holds them until stopped: what SCM_RIGHTS, socket
//! activation and proxies do.

use std::fs;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::say;
use crate::sys;

/// Settings of the taker.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Process id of the one that has them.
    #[arg(long)]
    pub from: u32,
}

/// Takes all sockets of the process, and stays until stopped.
pub fn run(args: &Args) -> Result<()> {
    let process = sys::pidfd_open(args.from).context("cannot open the process")?;
    let folder = format!("/proc/{}/fd", args.from);
    let mut taken: Vec<OwnedFd> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        let entry = entry?;
        let is_socket = fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        if is_socket {
            let number = entry.file_name().to_string_lossy().parse()?;
            taken.push(sys::pidfd_getfd(&process, number).context("cannot take a descriptor")?);
        }
    }
    ensure!(!taken.is_empty(), "process {} has no socket", args.from);
    say(&json!({"ready": true, "sockets": taken.len()}))?;
    sys::wait_for_stop();
    say(&json!({"sockets": taken.len()}))
}
