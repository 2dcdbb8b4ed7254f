//! Takes the sockets of this process out of `tcp_mem`, where the kernel lets itself be asked to (6.19 and later).

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapError},
    programs::{CgroupAttachMode, CgroupSock, ProgramError},
};
use thiserror::Error;
use tracer_common::exempt::{EXEMPT, OwnProcess, REFUSED};

use super::load::in_one_line;

/// The kernel object, built beside this binary.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcpress-exempt-ebpf"));
/// The PID namespace of this process.
const NAMESPACE: &str = "/proc/self/ns/pid";
const PROGRAM: &str = "exempt_own_socket";
const COUNTS: &str = "OWN_SOCKETS";

/// Why sockets of this process are in `tcp_mem`, as those of everybody.
#[derive(Debug, Error)]
pub enum NotExempt {
    /// This process may not load programs of this kind.
    #[error("it takes CAP_SYS_ADMIN, or CAP_BPF and CAP_NET_ADMIN")]
    NotAllowed,
    /// The verifier knows no such option of a socket.
    #[error("this kernel lets no program do that, as kernels since 6.19 do ({0})")]
    NotOffered(String),
    /// It is there, and could not be attached.
    #[error("cannot attach a program to {0}: {1}")]
    Attach(PathBuf, String),
    /// The object or its map is refused.
    #[error("the kernel refuses the maps of the kernel object: {0}")]
    Object(#[from] aya::EbpfError),
    /// What it counted cannot be read.
    #[error("cannot read what the program counted: {0}")]
    Map(#[from] MapError),
    /// By which namespace this process is known cannot be read.
    #[error("cannot read {NAMESPACE}: {0}")]
    Namespace(io::Error),
    /// There is no socket to try it.
    #[error("cannot open a socket to try it: {0}")]
    Socket(io::Error),
    /// The program runs, and this process is none that it knows.
    #[error("the program did not see the socket that was opened to try it")]
    NotSeen,
    /// The kernel knows the option and does not take it.
    #[error("the kernel did not exempt the socket that was opened to try it")]
    Refused,
}

/// As long as this lives, TCP sockets that this process opens are exempt, and those that they accept. They stay so afterwards.
pub struct OwnSockets {
    _object: Ebpf,
}

impl std::fmt::Debug for OwnSockets {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("OwnSockets")
    }
}

impl OwnSockets {
    /// Attaches a program to the cgroup that this process is in, and opens a socket to see that it does what it should.
    ///
    /// # Errors
    /// When the kernel offers no exemption, or this process may not have it.
    pub fn exempt(cgroup: &Path) -> Result<Self, NotExempt> {
        let own = own_process()?;
        let mut object = EbpfLoader::new()
            .override_global("OWN", &own, true)
            .load(OBJECT)?;
        let program: &mut CgroupSock = object
            .program_mut(PROGRAM)
            .ok_or(ProgramError::NotLoaded)
            .and_then(TryInto::try_into)
            .map_err(|error| NotExempt::NotOffered(in_one_line(&error)))?;
        program.load().map_err(|error| match &error {
            ProgramError::LoadError { io_error, .. }
                if io_error.raw_os_error() == Some(libc::EPERM) =>
            {
                NotExempt::NotAllowed
            }
            _ => NotExempt::NotOffered(in_one_line(&error)),
        })?;
        let failed = |why: String| NotExempt::Attach(cgroup.to_owned(), why);
        let folder = File::open(cgroup).map_err(|error| failed(error.to_string()))?;
        // Links stand beside each other and beside programs of others; flags are for those that are attached without one.
        program
            .attach(folder, CgroupAttachMode::Single)
            .map_err(|error| failed(in_one_line(&error)))?;
        // It listens on no port that anybody knows, and is gone at once.
        let tried = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        drop(tried.map_err(NotExempt::Socket)?);
        let counts = object.map(COUNTS).ok_or(MapError::InvalidName {
            name: COUNTS.to_owned(),
        })?;
        let counts: Array<_, u64> = Array::try_from(counts)?;
        match (counts.get(&EXEMPT, 0)?, counts.get(&REFUSED, 0)?) {
            (0, 0) => Err(NotExempt::NotSeen),
            (0, _) => Err(NotExempt::Refused),
            _ => Ok(Self { _object: object }),
        }
    }
}

/// This process, as `bpf_get_ns_current_pid_tgid` tells it (`kernel/bpf/helpers.c`): by the file of its PID namespace.
fn own_process() -> Result<OwnProcess, NotExempt> {
    let file = fs::metadata(NAMESPACE).map_err(NotExempt::Namespace)?;
    // Devices without a driver have major number 0, and the kernel's number is the minor one.
    let device = u64::from(libc::minor(file.dev()));
    Ok(OwnProcess {
        pid_namespace_device: device,
        pid_namespace_inode: file.ino(),
        tgid: std::process::id(),
        reserved: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_by_a_namespace_that_exists() {
        let own = own_process().unwrap();
        assert_eq!(own.tgid, std::process::id());
        let link = fs::read_link("/proc/self/ns/pid").unwrap();
        assert_eq!(
            link.to_string_lossy(),
            format!("pid:[{}]", own.pid_namespace_inode)
        );
    }
}
