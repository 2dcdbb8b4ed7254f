//! A listener that never accepts, with little room for connections that wait to be accepted. It switches SYN cookies off in its
//! network namespace, so that what finds no room is dropped.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use serde_json::json;

use super::say;
use crate::sys;

const COOKIES: &str = "/proc/sys/net/ipv4/tcp_syncookies";

/// Settings of the listener.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Connections beyond the first that may wait to be accepted.
    #[arg(long, default_value_t = 1)]
    pub backlog: i32,
}

/// Listens until stopped.
pub fn run(args: &Args) -> Result<()> {
    fs::write(COOKIES, "0").with_context(|| format!("cannot write {COOKIES}"))?;
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    // A second listen only changes the backlog, which the standard library sets to 128.
    // SAFETY: listen touches no memory of this process.
    sys::cvt(unsafe { libc::listen(listener.as_raw_fd(), args.backlog) })?;
    say(&json!({"ready": true}))?;
    sys::wait_for_stop();
    say(&json!({"listening": true}))
}
