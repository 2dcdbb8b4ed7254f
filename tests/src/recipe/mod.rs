//! Recipes: small programs that each provoke one thing by a chosen amount. A recipe prints one JSON line with `ready`
//! when it can be used, one with `done` when its work is finished (where it has an end), stays until SIGTERM, and then
//! prints its result as the last line.

pub mod abandon;
pub mod crowd;
pub mod deaf_listener;
pub mod echo;
pub mod held_lock;
pub mod hindrance;
pub mod leak_client;
pub mod leak_server;
pub mod messages;
pub mod redis_client;
pub mod repair;
pub mod slow_reader;
pub mod take_over;
pub mod tcp_mem;
pub mod tun;

use std::io::Write;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;

use crate::sys;

/// Which recipe, with its settings.
#[derive(Debug, Subcommand)]
pub enum Recipe {
    /// A TCP client in user space on a TUN device: free choice of sequence numbers.
    Tun(tun::Args),
    /// A server with a small receive buffer that reads nothing or little.
    SlowReader(slow_reader::Args),
    /// A server that accepts for ever, never reads and never closes.
    LeakServer(leak_server::Args),
    /// Connections that send some bytes and then stay or close.
    LeakClient(leak_client::Args),
    /// A server that answers each request with a fixed number of bytes.
    EchoServer(echo::ServerArgs),
    /// A client of it that counts answers per second.
    EchoClient(echo::ClientArgs),
    /// Many small messages, each a segment of its own.
    Messages(messages::Args),
    /// A client of Redis with a time limit for each request.
    RedisClient(redis_client::Args),
    /// Sets net.ipv4.tcp_mem of the whole machine until stopped.
    TcpMem(tcp_mem::Args),
    /// Writes into the receive queue of its own socket in repair mode.
    Repair(repair::Args),
    /// A listener that never accepts.
    DeafListener(deaf_listener::Args),
    /// Connections closed with data that was not sent.
    Abandon(abandon::Args),
    /// A socket whose lock is held in the middle of a read.
    HeldLock(held_lock::Args),
    /// Very many connections of one process with itself.
    Crowd(crowd::Args),
    /// Takes the connections of another process over.
    TakeOver(take_over::Args),
}

impl Recipe {
    /// Runs the recipe to its end.
    pub fn run(&self) -> Result<()> {
        sys::catch_stop()?;
        match self {
            Self::Tun(args) => tun::run(args),
            Self::SlowReader(args) => slow_reader::run(args),
            Self::LeakServer(args) => leak_server::run(args),
            Self::LeakClient(args) => leak_client::run(args),
            Self::EchoServer(args) => echo::serve(args),
            Self::EchoClient(args) => echo::ask(args),
            Self::Messages(args) => messages::run(args),
            Self::RedisClient(args) => redis_client::run(args),
            Self::TcpMem(args) => tcp_mem::run(args),
            Self::Repair(args) => repair::run(args),
            Self::DeafListener(args) => deaf_listener::run(args),
            Self::Abandon(args) => abandon::run(args),
            Self::HeldLock(args) => held_lock::run(args),
            Self::Crowd(args) => crowd::run(args),
            Self::TakeOver(args) => take_over::run(args),
        }
    }
}

/// Prints one line of JSON at once.
pub(crate) fn say(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    Ok(out.flush()?)
}

/// Listens without blocking in accept, with room for many connections that nobody has accepted yet.
pub(crate) fn listen(at: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(at).with_context(|| format!("cannot listen on {at}"))?;
    // A second listen only changes the backlog, which the standard library sets to 128.
    // SAFETY: listen touches no memory of this process.
    sys::cvt(unsafe { libc::listen(listener.as_raw_fd(), 4096) })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The same for connections of Multipath TCP, which TCP may use too.
pub(crate) fn listen_mptcp(at: SocketAddrV4) -> Result<TcpListener> {
    let listener = TcpListener::from(mptcp_socket()?);
    sys::bind(&listener, at).with_context(|| format!("cannot listen on {at}"))?;
    // SAFETY: listen touches no memory of this process.
    sys::cvt(unsafe { libc::listen(listener.as_raw_fd(), 4096) })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A connection of Multipath TCP.
pub(crate) fn connect_mptcp(to: SocketAddrV4) -> Result<TcpStream> {
    let stream = TcpStream::from(mptcp_socket()?);
    sys::connect(&stream, to).with_context(|| format!("cannot connect to {to}"))?;
    Ok(stream)
}

fn mptcp_socket() -> Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    let socket = sys::cvt(unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
            libc::IPPROTO_MPTCP,
        )
    })
    .context("this kernel has no Multipath TCP")?;
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

/// Accepts what waits, if anything.
pub(crate) fn accept(listener: &TcpListener) -> Result<Option<TcpStream>> {
    match listener.accept() {
        Ok((stream, _)) => {
            stream.set_nonblocking(true)?;
            Ok(Some(stream))
        }
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
        // The peer has given up before we came to accept.
        Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => Ok(None),
        Err(error) => Err(error).context("cannot accept"),
    }
}

/// Connects, trying again while nothing listens there yet.
pub(crate) fn connect(to: SocketAddr) -> Result<TcpStream> {
    let mut last = None;
    for _ in 0..20 {
        match TcpStream::connect_timeout(&to, Duration::from_secs(5)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
        if sys::stopped() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(last.map_or_else(|| anyhow::anyhow!("stopped"), anyhow::Error::from))
        .with_context(|| format!("cannot connect to {to}"))
}
