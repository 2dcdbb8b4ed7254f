//! The leak: a server that accepts connections for ever, never reads from them and never closes them.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{accept, listen, listen_mptcp, say};
use crate::sys;

/// Settings of the leaking server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Take connections of Multipath TCP too.
    #[arg(long)]
    pub mptcp: bool,
}

/// Leaks until stopped.
pub fn run(args: &Args) -> Result<()> {
    sys::raise_open_files()?;
    let listener = match args.listen {
        SocketAddr::V4(at) if args.mptcp => listen_mptcp(at)?,
        at => listen(at)?,
    };
    say(&json!({"ready": true, "listen": listener.local_addr()?.to_string()}))?;
    let mut leaked = Vec::new();
    while !sys::stopped() {
        // To accept takes memory even where nobody has come, and in a full cgroup there is none.
        if sys::readable(&[listener.as_raw_fd()], Duration::from_millis(50))? {
            leaked.extend(accept(&listener)?);
        }
    }
    say(&json!({"connections": leaked.len()}))
}
