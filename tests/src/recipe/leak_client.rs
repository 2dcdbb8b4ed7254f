//! What feeds a leak: many connections that each send up to a number of bytes, without blocking, and then stay open, close
//! (which leaves the server in CLOSE-WAIT) or are reset (which leaves it in CLOSE, in no table).

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::json;

use super::{connect, connect_mptcp, say};
use crate::sys;

/// What becomes of the connections once the bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Then {
    /// They stay established.
    Stay,
    /// They are closed: the other side, which never closes, is left in CLOSE-WAIT.
    Close,
    /// They are reset: what the other side has not read stays with it, in a socket that no table lists.
    Reset,
}

/// Settings of the feeding client.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The leaking server.
    #[arg(long)]
    pub to: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 50)]
    pub connections: usize,
    /// Bytes that each connection offers.
    #[arg(long, default_value_t = 30_000)]
    pub bytes: usize,
    /// What follows.
    #[arg(long, value_enum, default_value_t = Then::Stay)]
    pub then: Then,
    /// Size of the send buffer (SO_SNDBUF; the kernel doubles it), so that little memory stays on this side.
    #[arg(long)]
    pub send_buffer: Option<i32>,
    /// Open connections of Multipath TCP.
    #[arg(long)]
    pub mptcp: bool,
    /// Give up on bytes that nobody takes after this many milliseconds without progress.
    #[arg(long, default_value_t = 1000)]
    pub patience: u64,
}

/// Opens, sends, then stays until stopped.
pub fn run(args: &Args) -> Result<()> {
    sys::raise_open_files()?;
    let mut sent = vec![0_usize; args.connections];
    let streams = (0..args.connections)
        .map(|_| open(args))
        .collect::<Result<Vec<_>>>()?;
    say(&json!({"ready": true}))?;
    let block = vec![b'l'; 16 * 1024];
    let mut last_progress = Instant::now();
    while !sys::stopped() && last_progress.elapsed() < Duration::from_millis(args.patience) {
        let mut progress = 0;
        for (mut stream, sent) in streams.iter().zip(&mut sent) {
            let left = args.bytes - *sent;
            match stream.write(&block[..left.min(block.len())]) {
                Ok(count) => {
                    *sent += count;
                    progress += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        if sent.iter().all(|sent| *sent == args.bytes) {
            break;
        }
        if progress > 0 {
            last_progress = Instant::now();
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    if args.then == Then::Reset {
        for stream in &streams {
            sys::reset_on_close(stream)?;
        }
    }
    // Those that do not stay are closed here.
    let streams = (args.then == Then::Stay).then_some(streams);
    let total: usize = sent.iter().sum();
    say(&json!({"done": true, "connections": args.connections, "sent_bytes": total}))?;
    sys::wait_for_stop();
    drop(streams);
    say(&json!({"connections": args.connections, "sent_bytes": total}))
}

fn open(args: &Args) -> Result<TcpStream> {
    let stream = match args.to {
        SocketAddr::V4(to) if args.mptcp => connect_mptcp(to)?,
        to => connect(to)?,
    };
    if let Some(size) = args.send_buffer {
        sys::set_option(&stream, libc::SOL_SOCKET, libc::SO_SNDBUF, size)?;
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}
