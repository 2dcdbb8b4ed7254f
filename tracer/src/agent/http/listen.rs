//! The listening socket: small, and had in the end.
//!
//! **Why small buffers.** Where `tcp_mem` is exhausted, a socket gets what its first skb takes and no more: the kernel lets the first
//! skb into an empty queue by force (`sk_forced_mem_schedule`, called for an empty receive queue by `tcp_data_queue`, for an empty write queue by
//! `tcp_stream_alloc_skb`) and refuses the others. Under pressure it admits sockets that hold less than their share. Nothing in the socket
//! interface exempts a TCP socket from either, and before 6.19 nothing else does ([`crate::probe::OwnSockets`]). So we hold little, in few
//! sockets, and never take part in what we measure.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

/// Bytes that wait to be sent; the kernel takes twice as many, for its own structures. With half of it one segment of the loopback interface
/// (64 KiB) fills it, and each waits for a delayed acknowledgement: 2 MB/s instead of more than 500.
const SEND_BUFFER: u32 = 64 << 10;
/// Bytes that wait to be read: a head of a request and its overhead.
const RECEIVE_BUFFER: u32 = 16 << 10;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 32;
/// Between the first tries.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Between later ones.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Listens, as soon as that is possible; what stands in the way is said whenever it changes.
pub(super) async fn listen(
    at: SocketAddr,
    say: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<TcpListener> {
    let mut pause = FIRST_PAUSE;
    let mut said = None;
    loop {
        let error = match bind(at) {
            Ok(listener) => {
                say(&format!("HTTP: listening on {at}"));
                return Ok(listener);
            }
            Err(error) => error,
        };
        let why = match error.kind() {
            ErrorKind::AddrInUse => "another process listens there",
            ErrorKind::AddrNotAvailable => "no interface has that address yet",
            _ if is_exhaustion(&error) => "no descriptor or memory is left",
            _ => return Err(error).with_context(|| format!("cannot listen on {at} (http.listen)")),
        };
        if said != Some(error.kind()) {
            say(&format!(
                "HTTP: cannot listen on {at} yet: {why} ({error}); trying again (http.listen)"
            ));
            said = Some(error.kind());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Accepted sockets inherit the sizes of the buffers.
pub(super) fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// Whether descriptors or memory lack, which passes.
pub(super) fn is_exhaustion(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}
