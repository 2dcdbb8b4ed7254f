//! The file of the socket: there whole or not at all, for one agent at a time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::{
        fs::{
            DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
            PermissionsExt as _,
        },
        net::UnixListener as StdListener,
    },
    path::{Path, PathBuf},
};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use thiserror::Error;
use tokio::net::UnixListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;
/// For the owner alone.
const MODE: u32 = 0o600;

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum BindError {
    /// An agent lives there.
    #[error(
        "another agent is running: it holds {0}; stop it, or give this one another socket.path"
    )]
    Live(PathBuf),
    /// Something else has that name.
    #[error("{0} is there and no socket; remove it, or give another socket.path")]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {path} (socket.path): {error}")]
    Failed {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A socket that listens. Its file goes with it.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file, so that nobody else's is removed.
    identity: (u64, u64),
    /// Locked as long as this agent lives: the kernel unlocks it however the agent ends.
    lock: File,
}

impl Listener {
    /// Makes the socket. What a dead agent left is replaced; its folder is made, for its owner alone, if it lacks.
    ///
    /// # Errors
    /// When an agent lives there, something else has the name, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        let failed = |error: io::Error| BindError::Failed {
            path: path.to_owned(),
            error,
        };
        if let Some(folder) = path.parent().filter(|it| !it.exists()) {
            let made = DirBuilder::new().mode(0o700).create(folder);
            made.map_err(failed)?;
        }
        let lock = beside(path, ".lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(MODE)
            .open(lock)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BindError::Live(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(BindError::NoSocket(path.to_owned()));
            }
            Ok(_) if answers(path).map_err(failed)? => {
                return Err(BindError::Live(path.to_owned()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let (socket, identity) = make(path).map_err(failed)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            identity,
            lock,
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let ours = |it: &fs::Metadata| (it.dev(), it.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(|it| ours(&it)) {
            // Left behind, it is stale, and the next agent replaces it.
            let _ = fs::remove_file(&self.path);
        }
        // Closing it would do, but for a child that this process begins in the same moment.
        let _ = self.lock.unlock();
    }
}

/// Listens under another name and takes the right one then: nobody finds it half made.
fn make(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let partial = beside(path, ".new");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = unix()?;
    bind(&socket, &SocketAddrUnix::new(&partial)?)?;
    // Nobody can connect before it listens.
    fs::set_permissions(&partial, fs::Permissions::from_mode(MODE))?;
    listen(&socket, BACKLOG)?;
    let made = fs::symlink_metadata(&partial)?;
    fs::rename(&partial, path)?;
    let socket = UnixListener::from_std(StdListener::from(socket))?;
    Ok((socket, (made.dev(), made.ino())))
}

/// Whether anybody listens on a socket.
fn answers(path: &Path) -> io::Result<bool> {
    match connect(&unix()?, &SocketAddrUnix::new(path)?) {
        // Too many wait already.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Ok(true),
        Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn unix() -> io::Result<std::os::fd::OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
