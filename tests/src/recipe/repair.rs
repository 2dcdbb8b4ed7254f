//! TCP_REPAIR: a process may write straight into the receive queue of its own socket (`tcp_send_rcvq`). When the queue is over its
//! buffer, the write fails for want of memory and raises TCPRcvQDrop.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::say;
use crate::sys;

/// `TCP_RECV_QUEUE` of linux/tcp.h: repair writes go to the receive queue.
const RECEIVE_QUEUE: libc::c_int = 1;

/// Settings of the repair writes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many writes are to be refused.
    #[arg(long, default_value_t = 5)]
    pub refusals: u64,
    /// Give up after so many writes, where the kernel does not refuse.
    #[arg(long, default_value_t = u64::MAX)]
    pub writes: u64,
    /// Bytes of each write.
    #[arg(long, default_value_t = 1000)]
    pub size: usize,
    /// SO_RCVBUF of the socket (the kernel doubles it); as root it may be larger than the system's most.
    #[arg(long, default_value_t = 4096)]
    pub room: i32,
    /// Write only when this file exists, with no memory to be asked for any more.
    #[arg(long)]
    pub until: Option<PathBuf>,
}

/// Fills the queue, is refused as often as asked for, and stays until stopped.
pub fn run(args: &Args) -> Result<()> {
    let listener = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept()?;
    sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, args.room)?;
    let block = vec![b'p'; args.size];
    if args.until.is_some() {
        // SAFETY: the call touches no memory of this process's own.
        sys::cvt(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })?;
    }
    say(&json!({"ready": true}))?;
    while args.until.as_ref().is_some_and(|go| !go.exists()) && !sys::stopped() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let set = |name, value| sys::set_option(&socket, libc::IPPROTO_TCP, name, value);
    set(libc::TCP_REPAIR, 1).context("cannot enter repair mode")?;
    set(libc::TCP_REPAIR_QUEUE, RECEIVE_QUEUE).context("cannot choose the receive queue")?;
    let (mut queued, mut refused) = (0_u64, 0_u64);
    while refused < args.refusals && queued < args.writes {
        // SAFETY: the pointer and the length describe `block`.
        let sent = unsafe { libc::send(socket.as_raw_fd(), block.as_ptr().cast(), block.len(), 0) };
        if sent >= 0 {
            queued += 1;
        } else if refused_for_memory(&std::io::Error::last_os_error()) {
            refused += 1;
        } else {
            return Err(std::io::Error::last_os_error()).context("cannot write in repair mode");
        }
        if queued > 100_000 {
            bail!("the queue took {queued} writes and refused none");
        }
    }
    say(&json!({"done": true, "queued": queued, "refused": refused}))?;
    sys::wait_for_stop();
    drop(peer);
    say(&json!({"queued": queued, "refused": refused}))
}

/// A refusal in `tcp_send_rcvq` reaches the program as either code: the allocation before it may have changed the default ENOMEM.
fn refused_for_memory(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::ENOBUFS))
}
