//! Packets to the kernel and back, without link layer, one a read or write: by a TUN device, or, on a kernel without the module
//! for it, by a packet socket on the loopback device.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::looped::Loop;
use crate::network::ip;
use crate::sys;

const NODE: &str = "/dev/net/tun";

/// An open device; it goes when this is dropped.
pub struct Device(Way);

enum Way {
    Tun(Tun),
    Loop(Loop),
}

impl Device {
    /// Makes the device in the caller's network namespace and gives the kernel `address` on it; packets for `client` come to us.
    pub fn open(name: &str, address: Ipv4Addr, client: Ipv4Addr) -> Result<Self> {
        make_node();
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(NODE);
        Ok(Self(match opened {
            Ok(file) => Way::Tun(Tun::new(file, name, address)?),
            Err(_) => Way::Loop(Loop::open(address, client)?),
        }))
    }

    /// Hands one packet to the kernel.
    pub fn send(&mut self, packet: &[u8]) -> Result<()> {
        loop {
            let sent = match &mut self.0 {
                Way::Tun(tun) => tun.file.write(packet),
                Way::Loop(way) => way.send(packet),
            };
            match sent {
                Ok(count) => {
                    ensure!(count == packet.len(), "a packet was cut short");
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error).context("cannot inject a packet"),
            }
        }
    }

    /// The next packet from the kernel, waiting not longer than `wait`; its length, or None.
    pub fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<Option<usize>> {
        let (received, descriptor) = match &mut self.0 {
            Way::Tun(tun) => (tun.file.read(buffer), tun.file.as_raw_fd()),
            Way::Loop(way) => (way.receive(buffer), way.as_raw_fd()),
        };
        match received {
            Ok(count) => return Ok(Some(count)),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("cannot read the kernel's packets"),
        }
        if wait.is_zero() || !sys::readable(&[descriptor], wait)? {
            return Ok(None);
        }
        self.receive(buffer, Duration::ZERO)
    }
}

struct Tun {
    file: File,
}

impl Tun {
    fn new(file: File, name: &str, address: Ipv4Addr) -> Result<Self> {
        ensure!(
            name.len() < libc::IFNAMSIZ,
            "the device name {name} is too long"
        );
        // SAFETY: ifreq is plain data.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_TUN | libc::IFF_NO_PI)?;
        // SAFETY: TUNSETIFF reads and writes one ifreq.
        sys::cvt(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
            .context("cannot make a TUN device")?;
        ip(&format!("addr add {address}/24 dev {name}"))?;
        ip(&format!("link set {name} up mtu 1500 txqueuelen 10000"))?;
        Ok(Self { file })
    }
}

/// A small guest may lack the device node.
fn make_node() {
    if Path::new(NODE).exists() || std::fs::create_dir_all("/dev/net").is_err() {
        return;
    }
    // SAFETY: the path is a C string literal; where the call fails, the following open says why.
    unsafe {
        libc::mknod(
            c"/dev/net/tun".as_ptr(),
            libc::S_IFCHR | 0o600,
            libc::makedev(10, 200),
        )
    };
}
