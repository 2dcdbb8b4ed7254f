//! The leak: a server that accepts connections for ever, never reads from them and never closes them.

use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{accept, listen, say};
use crate::sys;

/// Settings of the leaking server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddrV4,
}

/// Leaks until stopped.
pub fn run(args: &Args) -> Result<()> {
    sys::raise_open_files()?;
    let listener = listen(args.listen)?;
    say(&json!({"ready": true, "listen": listener.local_addr()?.to_string()}))?;
    let mut leaked = Vec::new();
    while !sys::stopped() {
        match accept(&listener)? {
            Some(stream) => leaked.push(stream),
            None => {
                sys::readable(&[listener.as_raw_fd()], Duration::from_millis(50))?;
            }
        }
    }
    say(&json!({"connections": leaked.len()}))
}
