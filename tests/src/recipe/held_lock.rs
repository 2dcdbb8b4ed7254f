//! A socket whose lock is held: it is read into a page that userfaultfd keeps from being filled, so that `tcp_recvmsg` stands still
//! in the middle of copying. Whatever arrives meanwhile goes to the backlog.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{accept, listen, say};
use crate::sys;

/// Settings of the server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
}

/// One page, as everywhere where this runs.
const PAGE: usize = 4096;
/// How long to wait for the first bytes, and for the read to stand still.
const PATIENCE: Duration = Duration::from_secs(30);

/// `struct uffdio_api` (include/uapi/linux/userfaultfd.h).
#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register`.
#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

/// `struct uffdio_zeropage`.
#[repr(C)]
struct ZeroPage {
    start: u64,
    len: u64,
    mode: u64,
    zeropage: i64,
}

/// `_IOWR(0xAA, number, size)`.
const fn request(number: u64, size: usize) -> u64 {
    3 << 30 | (size as u64) << 16 | 0xaa << 8 | number
}

/// Accepts one connection, holds its lock until stopped, then lets it go.
pub fn run(args: &Args) -> Result<()> {
    let listener = listen(args.listen)?;
    say(&json!({"ready": true}))?;
    let mut waited = Duration::ZERO;
    let stream = loop {
        if let Some(stream) = accept(&listener)? {
            break stream;
        }
        ensure!(waited < PATIENCE && !sys::stopped(), "nobody connected");
        sys::readable(&[listener.as_raw_fd()], Duration::from_millis(100))?;
        waited += Duration::from_millis(100);
    };
    ensure!(
        sys::readable(&[stream.as_raw_fd()], PATIENCE)?,
        "no data came"
    );
    let trap = Trap::new()?;
    let page = trap.page;
    let socket = stream.as_raw_fd();
    let reader = std::thread::spawn(move || {
        // SAFETY: the page is mapped until this thread has been joined; the kernel writes within it.
        unsafe { libc::recv(socket, page as *mut libc::c_void, PAGE, 0) }
    });
    ensure!(
        sys::readable(&[trap.fd.as_raw_fd()], PATIENCE)?,
        "the read does not stand still"
    );
    say(&json!({"done": true, "held": true}))?;
    sys::wait_for_stop();
    trap.release()?;
    let read = reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    say(&json!({"read_bytes": read}))
}

/// A page that is missing until it is released.
struct Trap {
    fd: OwnedFd,
    page: usize,
}

impl Trap {
    fn new() -> Result<Self> {
        // SAFETY: the call takes flags only.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        let fd = sys::cvt(libc::c_int::try_from(fd)?).context("no userfaultfd")?;
        // SAFETY: the descriptor was just made and is ours.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut api = Api {
            api: 0xaa,
            features: 0,
            ioctls: 0,
        };
        ioctl(&fd, request(0x3f, size_of::<Api>()), &mut api).context("UFFDIO_API")?;
        // SAFETY: a fresh anonymous mapping touches no memory of ours.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        ensure!(page != libc::MAP_FAILED, "no memory");
        let mut register = Register {
            start: page as u64,
            len: PAGE as u64,
            mode: 1,
            ioctls: 0,
        };
        ioctl(&fd, request(0, size_of::<Register>()), &mut register).context("UFFDIO_REGISTER")?;
        Ok(Self {
            fd,
            page: page as usize,
        })
    }

    /// Fills the page, so that who waits for it goes on.
    fn release(&self) -> Result<()> {
        let mut zero = ZeroPage {
            start: self.page as u64,
            len: PAGE as u64,
            mode: 0,
            zeropage: 0,
        };
        ioctl(&self.fd, request(4, size_of::<ZeroPage>()), &mut zero).context("UFFDIO_ZEROPAGE")
    }
}

fn ioctl<T>(fd: &OwnedFd, request: u64, argument: &mut T) -> std::io::Result<()> {
    // SAFETY: the request's number says how large the argument is, and it is a live value of that size.
    sys::cvt(unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(argument)) })
        .map(drop)
}
