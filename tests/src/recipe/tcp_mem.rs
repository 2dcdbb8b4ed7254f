//! Sets `net.ipv4.tcp_mem`, which is one for the whole machine, and puts the old value back. For virtual machines only.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::say;
use crate::sys;

/// Pages in which a leak of [`LEAK`] connections is soon told: 12 MiB at most. Well above the reserve of 1 MiB that kernels since 6.1 keep
/// per CPU, and the pressure limit close to the maximum, so that a refusal for the fair share happens near the maximum too.
pub const SMALL: [u64; 3] = [2800, 2950, 3072];
/// Connections of such a leak.
pub const LEAK: u32 = 320;
/// Bytes that each gets at first: about 8 pages with overhead, together four fifths of the memory.
pub const LEAKED_BEFORE: u32 = 18_200;
/// Bytes that each is offered then: together more than the memory, each less than its receive buffer.
pub const LEAKED_DURING: u32 = 30_000;

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

    /// Sets [`SMALL`].
    pub fn small() -> Result<Self> {
        let [low, pressure, max] = SMALL;
        Self::set(low, pressure, max)
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
