//! The loopback device as a wire: a packet socket puts segments from an address that is not the kernel's own on it, and sees what
//! the kernel answers there. The kernel drops its answers as addressed to nobody.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use anyhow::{Context, Result};

use crate::network::ip;
use crate::sys;

const DEVICE: &str = "lo";
const ETH_P_IP: u16 = 0x0800;
/// Where an IPv4 header has its destination.
const DESTINATION: std::ops::Range<usize> = 16..20;

/// A packet socket on the loopback device.
pub(super) struct Loop {
    socket: OwnedFd,
    to: libc::sockaddr_ll,
    client: Ipv4Addr,
}

impl Loop {
    /// Gives the kernel `address` on the loopback device of the caller's network namespace, and routes `client` there.
    pub(super) fn open(address: Ipv4Addr, client: Ipv4Addr) -> Result<Self> {
        ip(&format!("addr replace {address}/32 dev {DEVICE}"))?;
        ip(&format!("route replace {client}/32 dev {DEVICE}"))?;
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let protocol = libc::c_int::from(ETH_P_IP.to_be());
        // SAFETY: the call takes numbers only.
        let socket = sys::cvt(unsafe { libc::socket(libc::AF_PACKET, kind, protocol) })
            .context("this kernel has neither TUN devices nor packet sockets")?;
        // SAFETY: the descriptor is new and ours.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: sockaddr_ll is plain data.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_protocol = ETH_P_IP.to_be();
        to.sll_halen = 6;
        // SAFETY: the name is a C string literal.
        let index = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
        to.sll_ifindex = i32::try_from(index)?;
        // SAFETY: the address is one of this family, of the size that is given.
        sys::cvt(unsafe {
            libc::bind(
                socket.as_raw_fd(),
                (&raw const to).cast(),
                size_of_val(&to) as u32,
            )
        })
        .context("cannot bind a packet socket to the loopback device")?;
        sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20)?;
        Ok(Self { socket, to, client })
    }

    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<usize> {
        // SAFETY: buffer and address are as long as is said.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw const self.to).cast(),
                size_of_val(&self.to) as u32,
            )
        };
        match (usize::try_from(sent), io::Error::last_os_error()) {
            (Ok(sent), _) => Ok(sent),
            // The socket's queue is full: as for a device that takes no more now.
            (Err(_), error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            (Err(_), error) => Err(error),
        }
    }

    /// The next packet that the kernel sent to the client, as it comes back. All others on the device are passed over.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // SAFETY: the buffer is as long as is said.
            let received = unsafe {
                libc::recv(
                    self.socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    0,
                )
            };
            let Ok(received) = usize::try_from(received) else {
                return Err(io::Error::last_os_error());
            };
            let destination = buffer[..received].get(DESTINATION);
            if destination == Some(&self.client.octets()[..]) {
                return Ok(received);
            }
        }
    }
}

impl AsRawFd for Loop {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
