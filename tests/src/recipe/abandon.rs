//! Connections whose send queues are full, closed all at once when a file appears: what is not sent yet becomes the kernel's, which
//! ends such a connection where TCP memory is over its limit (`tcp_check_oom`, net/ipv4/tcp.c).

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{connect, say};
use crate::sys;

/// Settings of the sender.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A server that does not read.
    #[arg(long)]
    pub to: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// They are closed once this file exists.
    #[arg(long)]
    pub until: PathBuf,
    /// Milliseconds between two of them: kernels since 6.1 count orphans anew every tenth of a second only.
    #[arg(long, default_value_t = 0)]
    pub pause: u64,
}

/// Fills, waits, closes, then stays until stopped.
pub fn run(args: &Args) -> Result<()> {
    let mut streams = Vec::new();
    for _ in 0..args.connections {
        let stream = connect(args.to)?;
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    say(&json!({"ready": true}))?;
    // What the server's window takes is taken within moments; the rest stays here.
    for _ in 0..10 {
        for stream in &streams {
            fill(stream)?;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    say(&json!({"step": "full"}))?;
    while !args.until.exists() && !sys::stopped() {
        std::thread::sleep(Duration::from_millis(10));
    }
    for stream in streams {
        drop(stream);
        std::thread::sleep(Duration::from_millis(args.pause));
    }
    say(&json!({"done": true, "closed": args.connections}))?;
    sys::wait_for_stop();
    say(&json!({"closed": args.connections}))
}

fn fill(mut stream: &TcpStream) -> Result<()> {
    let block = [b'a'; 16 * 1024];
    loop {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("cannot send"),
        }
    }
}
