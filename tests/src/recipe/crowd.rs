//! Very many connections of one process with itself, both ends open, with a little unread data each.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::{Context, Result};
use serde_json::json;

use super::{accept, listen, say};
use crate::sys;

/// Connections to one listener: fewer than there are ports to connect from.
const EACH: usize = 20_000;

/// Settings of the crowd.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many sockets, two to a connection.
    #[arg(long, default_value_t = 1_000)]
    pub sockets: usize,
    /// Bytes that each connection sends and nobody reads.
    #[arg(long, default_value_t = 100)]
    pub bytes: usize,
}

/// Connects, then stays until stopped.
pub fn run(args: &Args) -> Result<()> {
    sys::raise_open_files()?;
    say(&json!({"ready": true}))?;
    let block = vec![b'c'; args.bytes];
    let mut ends: Vec<TcpStream> = Vec::with_capacity(args.sockets);
    let mut listeners = Vec::new();
    while ends.len() < args.sockets && !sys::stopped() {
        if (ends.len() / 2).is_multiple_of(EACH) {
            listeners.push(listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?);
        }
        let listener = listeners.last().context("no listener")?;
        let mut client = TcpStream::connect(listener.local_addr()?).context("cannot connect")?;
        client.write_all(&block).context("cannot send")?;
        // On loopback a connection waits at the listener as soon as it exists.
        let server = accept(listener)?.context("nobody has come")?;
        ends.extend([client, server]);
    }
    say(&json!({"done": true, "sockets": ends.len()}))?;
    sys::wait_for_stop();
    say(&json!({"sockets": ends.len()}))
}
