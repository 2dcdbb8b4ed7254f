//! A server whose reader is too slow for its small, locked receive buffer. It can set the buffer before the connection exists
//! (the window is small from the start), or shrink it once a number of bytes is queued: then everything that still fits the
//! window announced before arrives at a full queue. After shrinking it sends one byte, so that the peer knows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::hindrance::Hindrance;
use super::{accept, listen, listen_mptcp, say};
use crate::bpf::SockMap;
use crate::sys;

/// Between two looks at connections that something may happen to.
const BUSY: Duration = Duration::from_millis(2);
/// And at others: hundreds of readers that have nothing to do are to take no time.
const IDLE: Duration = Duration::from_secs(1);

/// Settings of the slow reader.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// SO_RCVBUF of the listener, inherited by each connection (the kernel doubles it); with CAP_NET_ADMIN it may be larger than
    /// the system's most.
    #[arg(long)]
    pub rcvbuf: Option<i32>,
    /// SO_RCVBUF that each connection gets once `--shrink-after` bytes are queued.
    #[arg(long, requires = "shrink_after")]
    pub shrink_to: Option<i32>,
    /// How many unread bytes to wait for before shrinking; 0: at once after accept.
    #[arg(long, requires = "shrink_to")]
    pub shrink_after: Option<usize>,
    /// How many bytes a second each connection reads; 0: never.
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    /// Milliseconds to sleep after each round of reading, whatever waits.
    #[arg(long, default_value_t = 0)]
    pub nap: u64,
    /// Let the kernel take an announced window back (`net.ipv4.tcp_shrink_window`), where it can.
    #[arg(long)]
    pub take_window_back: bool,
    /// Put each connection into a sockmap, which drains its receive queue in the middle of an arrival.
    #[arg(long)]
    pub sockmap: bool,
    /// Take connections of Multipath TCP too.
    #[arg(long)]
    pub mptcp: bool,
    /// Once this many connections have shrunk their buffer, do something else than reading, for ever.
    #[arg(long, requires_all = ["then", "shrink_to"])]
    pub after: Option<usize>,
    /// What to do then.
    #[arg(long, requires = "after")]
    pub then: Option<Hindrance>,
}

/// One accepted connection.
struct Connection {
    stream: TcpStream,
    shrunk: bool,
    read: u64,
    since: Instant,
}

/// Serves until stopped.
pub fn run(args: &Args) -> Result<()> {
    sys::raise_open_files()?;
    let switch = Path::new("/proc/sys/net/ipv4/tcp_shrink_window");
    if args.take_window_back && switch.exists() {
        std::fs::write(switch, "1").context("cannot set tcp_shrink_window")?;
    }
    let listener = match args.listen {
        SocketAddr::V4(at) if args.mptcp => listen_mptcp(at)?,
        at => listen(at)?,
    };
    if let Some(size) = args.rcvbuf {
        sys::set_option(&listener, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size)
            .or_else(|_| sys::set_option(&listener, libc::SOL_SOCKET, libc::SO_RCVBUF, size))?;
    }
    say(&json!({"ready": true}))?;
    let mut map = args.sockmap.then(|| SockMap::new(1024)).transpose()?;
    let mut connections = Vec::new();
    while !sys::stopped() {
        while let Some(stream) = accept(&listener)? {
            if let Some(map) = &mut map {
                map.add(&stream)?;
            }
            let shrunk = args.shrink_to.is_none();
            connections.push(Connection {
                stream,
                shrunk,
                read: 0,
                since: Instant::now(),
            });
        }
        for connection in &mut connections {
            connection.turn(args)?;
        }
        if let (Some(after), Some(hindrance)) = (args.after, args.then)
            && connections.iter().filter(|it| it.shrunk).count() >= after
        {
            hindrance.suffer()?;
        }
        if args.nap > 0 {
            std::thread::sleep(Duration::from_millis(args.nap));
        } else {
            let waited_for = args.rate > 0 || connections.iter().any(|it| !it.shrunk);
            let pause = if waited_for { BUSY } else { IDLE };
            sys::readable(&[listener.as_raw_fd()], pause)?;
        }
    }
    let unread: usize = connections
        .iter()
        .map(|it| sys::unread(&it.stream))
        .sum::<std::io::Result<_>>()?;
    let read: u64 = connections.iter().map(|it| it.read).sum();
    say(&json!({"connections": connections.len(), "unread_bytes": unread, "read_bytes": read}))
}

impl Connection {
    /// Shrinks when it is time to, and reads what the rate allows.
    fn turn(&mut self, args: &Args) -> Result<()> {
        if let (false, Some(size), Some(after)) = (self.shrunk, args.shrink_to, args.shrink_after)
            && sys::unread(&self.stream)? >= after
        {
            sys::set_option(&self.stream, libc::SOL_SOCKET, libc::SO_RCVBUF, size)?;
            self.stream
                .write_all(b"s")
                .context("cannot tell the peer")?;
            self.shrunk = true;
        }
        let allowed = u64::try_from(self.since.elapsed().as_millis())? * args.rate / 1000;
        let mut buffer = [0; 4096];
        while self.read < allowed {
            let want = usize::try_from(allowed - self.read)?.min(buffer.len());
            match (&self.stream).read(&mut buffer[..want]) {
                Ok(0) => break,
                Ok(count) => self.read += u64::try_from(count)?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot read"),
            }
        }
        Ok(())
    }
}
