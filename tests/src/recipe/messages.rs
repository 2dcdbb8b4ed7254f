//! A sender of many small messages, each a segment of its own, as those who ship logs or prices do: the kernel's own TCP with all its
//! care for what is lost or comes late.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{connect, say};
use crate::sys;

/// Settings of the sender.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who reads them.
    #[arg(long)]
    pub to: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 2)]
    pub connections: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 100)]
    pub size: usize,
    /// Size of the send buffer (SO_SNDBUFFORCE; the kernel doubles it): small messages take many times their size of it.
    #[arg(long)]
    pub send_buffer: Option<i32>,
    /// Messages that each connection sends in a row, as far as they are taken, before the next has its turn.
    #[arg(long, default_value_t = 50)]
    pub row: usize,
    /// Milliseconds between two rounds.
    #[arg(long, default_value_t = 5)]
    pub pause: u64,
}

/// Sends until stopped.
pub fn run(args: &Args) -> Result<()> {
    let mut streams = Vec::new();
    for _ in 0..args.connections {
        let stream = connect(args.to)?;
        stream.set_nodelay(true)?;
        if let Some(size) = args.send_buffer {
            sys::set_option(&stream, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, size)
                .context("cannot set the send buffer")?;
        }
        stream.set_nonblocking(true)?;
        streams.push(stream);
    }
    say(&json!({"ready": true}))?;
    let message = vec![b'm'; args.size];
    let mut sent = 0;
    while !sys::stopped() {
        for stream in &streams {
            sent += row(stream, &message, args.row)?;
        }
        std::thread::sleep(Duration::from_millis(args.pause));
    }
    say(&json!({"sent_bytes": sent}))
}

fn row(mut stream: &TcpStream, message: &[u8], count: usize) -> Result<usize> {
    let mut sent = 0;
    for _ in 0..count {
        match stream.write(message) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error).context("cannot send"),
        }
    }
    Ok(sent)
}
