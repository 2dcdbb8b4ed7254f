//! Sets `net.ipv4.tcp_mem`, which is one for the whole machine, and puts the old value back. For virtual machines only.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::say;
use crate::sys;

const PATH: &str = "/proc/sys/net/ipv4/tcp_mem";

/// Settings of the limits.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Below this many pages there is no pressure.
    #[arg(long)]
    pub low: u64,
    /// Above this many pages pressure begins.
    #[arg(long)]
    pub pressure: u64,
    /// Above this many pages nothing is admitted.
    #[arg(long)]
    pub max: u64,
}

/// The limits while this lives; the old ones afterwards.
pub struct TcpMem {
    before: String,
}

impl TcpMem {
    /// Sets the three limits, in pages.
    pub fn set(low: u64, pressure: u64, max: u64) -> Result<Self> {
        let before = fs::read_to_string(PATH).with_context(|| format!("cannot read {PATH}"))?;
        fs::write(PATH, format!("{low} {pressure} {max}"))
            .with_context(|| format!("cannot write {PATH}"))?;
        Ok(Self { before })
    }
}

impl Drop for TcpMem {
    fn drop(&mut self) {
        if let Err(error) = fs::write(PATH, self.before.trim()) {
            eprintln!("lab: tcp_mem could not be put back: {error}");
        }
    }
}

/// Holds the limits until stopped.
pub fn run(args: &Args) -> Result<()> {
    let limits = TcpMem::set(args.low, args.pressure, args.max)?;
    say(&json!({"ready": true}))?;
    sys::wait_for_stop();
    let before = limits.before.clone();
    drop(limits);
    say(&json!({"restored": before.trim()}))
}
