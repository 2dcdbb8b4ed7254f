//! The socket that carries `sock_diag`: one dump of one network namespace, within a time limit.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{
    diag::{self, DiagError},
    gather::Gathering,
};

/// The kernel answers at once or not at all: a dump is made within `recv`.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Larger than any datagram of a dump, which the kernel limits to 32 KiB (`netlink_dump`).
const BUFFER: usize = 64 * 1024;
/// A dump that was interrupted is tried as often.
const TRIES: u32 = 3;

/// Why a namespace could not be dumped.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The kernel has no handler for TCP.
    #[error("the module tcp_diag is not loaded and the kernel did not load it: modprobe tcp_diag")]
    NoModule,
    /// A security policy forbids it.
    #[error("sock_diag is not permitted ({0})")]
    NotPermitted(io::Error),
    /// No answer in time.
    #[error("sock_diag did not answer in time")]
    Timeout,
    /// An answer that cannot be read.
    #[error(transparent)]
    Format(#[from] DiagError),
    /// Anything else.
    #[error("sock_diag: {0}")]
    Io(io::Error),
}

impl From<io::Error> for DumpError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            // EPROTONOSUPPORT: not even NETLINK_SOCK_DIAG is there; ENOENT: no handler (inet_diag_dump).
            Some(libc::ENOENT | libc::EPROTONOSUPPORT) => Self::NoModule,
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted(error),
            Some(libc::EAGAIN) => Self::Timeout,
            _ => Self::Io(error),
        }
    }
}

/// Gathers all TCP sockets of the network namespace that the calling thread is in. Says whether the kernel lost its place each time:
/// then some may be missing.
pub(super) fn dump(
    netns_inum: u32,
    deadline: Instant,
    to: &mut Gathering<'_>,
) -> Result<bool, DumpError> {
    let mut asker = Asker::new(netns_inum, deadline)?;
    match asker.ask(to, &[&|sequence| diag::request_both(sequence).to_vec()]) {
        // Without the older kind of request, or without the module: the newer one tells which.
        Err(DumpError::NoModule | DumpError::Io(_)) => {}
        answer => return answer,
    }
    // AF_INET is 2 and AF_INET6 is 10.
    asker.ask(
        to,
        &[
            &|sequence| diag::request(libc::AF_INET as u8, sequence).to_vec(),
            &|sequence| diag::request(libc::AF_INET6 as u8, sequence).to_vec(),
        ],
    )
}

/// Gathers the receive windows of the TCP sockets of the network namespace that the calling thread is in.
pub(super) fn dump_windows(
    netns_inum: u32,
    deadline: Instant,
    to: &mut Gathering<'_>,
) -> Result<bool, DumpError> {
    let mut asker = Asker::new(netns_inum, deadline)?;
    asker.ask(to, &[&|sequence| diag::request_windows(sequence).to_vec()])
}

/// Sends one request in the network namespace that the calling thread is in, and gives the first answer.
pub(super) fn exchange(request: &[u8]) -> io::Result<Vec<u8>> {
    let socket = open()?;
    send(&socket, request)?;
    let mut buffer = vec![0_u8; BUFFER];
    // SAFETY: the pointer and length are those of a buffer that outlives the call.
    let got = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            0,
        )
    };
    buffer.truncate(usize::try_from(got).map_err(|_| io::Error::last_os_error())?);
    Ok(buffer)
}

/// Bytes of a request with a sequence number.
type Request<'a> = &'a dyn Fn(u32) -> Vec<u8>;

struct Asker {
    socket: OwnedFd,
    sequence: u32,
    netns_inum: u32,
    deadline: Instant,
}

impl Asker {
    fn new(netns_inum: u32, deadline: Instant) -> io::Result<Self> {
        Ok(Self {
            socket: open()?,
            sequence: 0,
            netns_inum,
            deadline,
        })
    }

    /// Asks all of it until the answers are whole, a few times at most. Whether even the last ones were not whole.
    fn ask(&mut self, to: &mut Gathering<'_>, requests: &[Request<'_>]) -> Result<bool, DumpError> {
        for _ in 0..TRIES {
            to.begin();
            let mut interrupted = false;
            for (number, request) in requests.iter().enumerate() {
                self.sequence += 1;
                send(&self.socket, &request(self.sequence))?;
                match self.receive(to) {
                    Ok(lost) => interrupted |= lost,
                    // A kernel without IPv6, which comes second, has no handler for it, and no such sockets.
                    Err(DumpError::NoModule) if number > 0 => {}
                    Err(error) => return Err(error),
                }
            }
            if !interrupted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the kernel lost its place.
    fn receive(&self, to: &mut Gathering<'_>) -> Result<bool, DumpError> {
        let mut interrupted = false;
        let mut buffer = vec![0_u8; BUFFER];
        loop {
            if Instant::now() >= self.deadline {
                return Err(DumpError::Timeout);
            }
            // SAFETY: the pointer and length are those of a buffer that outlives the call.
            let got = unsafe {
                libc::recv(
                    self.socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_TRUNC,
                )
            };
            let Ok(got) = usize::try_from(got) else {
                let error = io::Error::last_os_error();
                if error.raw_os_error() == Some(libc::EINTR) {
                    continue;
                }
                return Err(error.into());
            };
            // With MSG_TRUNC the length is that of the whole datagram, even if the buffer is shorter.
            let datagram = buffer.get(..got).ok_or(DiagError::Truncated {
                at: BUFFER,
                len: got,
            })?;
            let decoded = diag::decode(datagram, self.netns_inum, self.sequence, |socket| {
                to.take(socket);
            })?;
            interrupted |= decoded.interrupted;
            if let Some(errno) = decoded.errno {
                return Err(io::Error::from_raw_os_error(errno).into());
            }
            if decoded.done {
                return Ok(interrupted);
            }
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_SOCK_DIAG) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let timeout = libc::timeval {
        tv_sec: RECEIVE_TIMEOUT.as_secs() as libc::time_t,
        tv_usec: 0,
    };
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        // SAFETY: the pointer is to a local that outlives the call, with its size.
        let answer = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const timeout).cast(),
                size_of_val(&timeout) as libc::socklen_t,
            )
        };
        if answer != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(socket)
}

fn send(socket: &OwnedFd, request: &[u8]) -> io::Result<()> {
    // SAFETY: the pointer and length are those of a slice that outlives the call. Without an address,
    // netlink sends to the kernel.
    let sent = unsafe {
        libc::send(
            socket.as_raw_fd(),
            request.as_ptr().cast(),
            request.len(),
            0,
        )
    };
    if usize::try_from(sent) == Ok(request.len()) {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::holders::{Progress, Socket, TcpState, gather::Detail};

    #[test]
    fn errors_say_what_to_do() {
        let of = |errno| DumpError::from(io::Error::from_raw_os_error(errno)).to_string();
        assert!(of(libc::ENOENT).contains("modprobe tcp_diag"));
        assert!(of(libc::EPROTONOSUPPORT).contains("modprobe tcp_diag"));
        assert!(of(libc::EPERM).contains("not permitted"));
        assert!(of(libc::EAGAIN).contains("in time"));
        assert!(of(libc::ENOBUFS).starts_with("sock_diag: "));
    }

    fn listed(
        ask: impl FnOnce(&mut Gathering<'_>) -> Result<bool, DumpError>,
    ) -> Result<Vec<Socket>, DumpError> {
        let quiet = Progress::quiet();
        let mut gathering = Gathering::new(Detail::Each, &quiet);
        ask(&mut gathering)?;
        gathering.end();
        Ok(gathering.finish().0)
    }

    #[test]
    fn past_the_deadline_is_a_timeout() {
        match listed(|to| dump(1, Instant::now(), to)) {
            Err(DumpError::Timeout) => {}
            Err(error @ (DumpError::NoModule | DumpError::NotPermitted(_))) => {
                crate::skipped::skipped(module_path!(), format_args!("{error}"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_listener_of_this_test() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let sockets = match listed(|to| dump(1, deadline, to)) {
            Ok(sockets) => sockets,
            Err(error) => {
                crate::skipped::skipped(module_path!(), format_args!("{error}"));
                return;
            }
        };
        let mut found = sockets.iter();
        let found = found.find(|socket| socket.local == address).unwrap();
        assert_eq!(found.state, TcpState::Listen);
        assert_ne!(found.cookie, 0);
        assert_eq!(found.memory.unwrap().rmem_alloc, 0);
    }

    #[test]
    fn both_families_at_once_and_one_after_the_other() {
        let Ok(v6) = TcpListener::bind("[::1]:0") else {
            crate::skipped::skipped(module_path!(), "no IPv6");
            return;
        };
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = [v4.local_addr().unwrap(), v6.local_addr().unwrap()];
        let deadline = Instant::now() + Duration::from_secs(10);
        let Ok(mut asker) = Asker::new(1, deadline) else {
            crate::skipped::skipped(module_path!(), "no sock_diag");
            return;
        };
        let mut found = |request: &dyn Fn(u32) -> Vec<u8>| {
            let sockets = listed(|to| asker.ask(to, &[request]))?;
            let many = |address| sockets.iter().filter(|s| s.local == address).count();
            Ok::<_, DumpError>(own.map(many))
        };
        match found(&|sequence| diag::request_both(sequence).to_vec()) {
            Ok(found) => assert_eq!(found, [1, 1]),
            Err(error) => {
                crate::skipped::skipped(module_path!(), format_args!("both at once: {error}"));
            }
        }
        for (family, want) in [(libc::AF_INET, [1, 0]), (libc::AF_INET6, [0, 1])] {
            match found(&|sequence| diag::request(family as u8, sequence).to_vec()) {
                Ok(found) => assert_eq!(found, want),
                Err(error) => crate::skipped::skipped(
                    module_path!(),
                    format_args!("family {family}: {error}"),
                ),
            }
        }
    }
}
