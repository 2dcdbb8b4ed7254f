//! Names of pods at the moment when they come: the kernel tells of each folder that the kubelet makes for a pod's logs
//! (`inotify(7)`), so that one that is gone a second later has been heard of.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use super::pod_logs::PodLogs;

/// Bytes that are read at once.
const BUFFER: usize = 16 * 1024;
/// Readings in one go, so that a flood of folders keeps nobody for ever.
const READINGS_MAX: usize = 256;
/// Bytes of an event before its name (`struct inotify_event`).
const HEAD: usize = size_of::<libc::inotify_event>();

const CAME: u32 = libc::IN_CREATE | libc::IN_MOVED_TO;
const WENT: u32 = libc::IN_DELETE | libc::IN_MOVED_FROM;
/// After these, what happened is not known from events alone.
const BLIND: u32 = libc::IN_Q_OVERFLOW | libc::IN_IGNORED | libc::IN_MOVE_SELF;

/// A folder that is watched.
#[derive(Debug)]
pub struct LogWatch {
    events: OwnedFd,
    folder: PathBuf,
    /// Whether the folder is watched now.
    watching: bool,
}

impl LogWatch {
    /// Watches a folder, from before anybody reads it.
    ///
    /// # Errors
    /// When the kernel gives no more watches; that the folder is not there is none.
    pub fn new(folder: &Path) -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let events = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut watch = Self {
            events,
            folder: folder.to_owned(),
            watching: false,
        };
        watch.watch()?;
        Ok(watch)
    }

    fn watch(&mut self) -> io::Result<()> {
        let folder = CString::new(self.folder.as_os_str().as_bytes())?;
        let mask = CAME | WENT | libc::IN_MOVE_SELF | libc::IN_ONLYDIR;
        // SAFETY: the path ends in NUL and outlives the call.
        let watched =
            unsafe { libc::inotify_add_watch(self.events.as_raw_fd(), folder.as_ptr(), mask) };
        let error = io::Error::last_os_error();
        self.watching = watched >= 0;
        match error.kind() {
            _ if self.watching => Ok(()),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(()),
            _ => Err(error),
        }
    }

    /// Takes what happened since. Where events alone do not tell, the folder is read.
    pub fn drain(&mut self, logs: &mut PodLogs) {
        let mut blind = !self.watching;
        let mut buffer = vec![0; BUFFER];
        for _ in 0..READINGS_MAX {
            // SAFETY: the buffer is ours and as long as we say.
            let read = unsafe {
                libc::read(
                    self.events.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                )
            };
            // Nothing more, as a rule.
            let Ok(read) = usize::try_from(read) else {
                break;
            };
            if read == 0 {
                break;
            }
            for event in Events(&buffer[..read.min(BUFFER)]) {
                if event.mask & BLIND != 0 {
                    blind = true;
                    self.watching &= event.mask & libc::IN_Q_OVERFLOW != 0;
                }
                if event.mask & CAME != 0 {
                    logs.learn(event.name);
                } else if event.mask & WENT != 0 {
                    logs.forget(event.name);
                }
            }
        }
        if blind {
            // Where it cannot be watched, it is read each time.
            let _ = self.watching || self.watch().is_ok();
            logs.refresh(&self.folder);
        }
    }
}

/// One event.
#[derive(Debug, PartialEq, Eq)]
struct Event<'a> {
    mask: u32,
    name: &'a str,
}

/// The events in a buffer as the kernel fills it.
struct Events<'a>(&'a [u8]);

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let number = |at: usize| {
            let bytes = self.0.get(at..at + 4)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        // wd, mask, cookie, length of the name
        let mask = number(4)?;
        let length = usize::try_from(number(12)?).ok()?;
        let name = self.0.get(HEAD..HEAD.checked_add(length)?)?;
        self.0 = &self.0[HEAD + length..];
        // Padded with zeroes. A name that is not UTF-8 is not the kubelet's.
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        let name = std::str::from_utf8(&name[..end]).unwrap_or_default();
        Some(Event { mask, name })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::Fixture;

    fn name(logs: &PodLogs, uid: &str) -> Option<String> {
        logs.get(uid).map(|pod| pod.name.clone())
    }

    #[test]
    fn a_pod_that_is_gone_again_was_heard_of() {
        let dir = Fixture::new();
        let mut watch = LogWatch::new(dir.path()).unwrap();
        let mut logs = PodLogs::read(dir.path());
        for number in 0..300 {
            let folder = dir.path().join(format!("shop_brief-{number}_{number:08}"));
            fs::create_dir(&folder).unwrap();
            fs::remove_dir(&folder).unwrap();
        }
        watch.drain(&mut logs);
        for number in 0..300 {
            assert_eq!(
                name(&logs, &format!("{number:08}")),
                Some(format!("brief-{number}"))
            );
        }
        watch.drain(&mut logs);
    }

    #[test]
    fn a_folder_that_comes_late_and_one_that_is_replaced() {
        let dir = Fixture::new();
        let pods = dir.path().join("pods");
        let mut watch = LogWatch::new(&pods).unwrap();
        let mut logs = PodLogs::read(&pods);
        assert_eq!(logs.gaps.len(), 1);
        dir.dir("pods/shop_a_1111");
        watch.drain(&mut logs);
        assert_eq!(
            (name(&logs, "1111").as_deref(), logs.gaps.len()),
            (Some("a"), 0)
        );
        fs::remove_dir_all(&pods).unwrap();
        watch.drain(&mut logs);
        dir.dir("pods/shop_b_2222");
        watch.drain(&mut logs);
        dir.dir("pods/shop_c_3333");
        watch.drain(&mut logs);
        for (uid, wanted) in [("1111", "a"), ("2222", "b"), ("3333", "c")] {
            assert_eq!(name(&logs, uid).as_deref(), Some(wanted));
        }
    }

    #[test]
    fn what_is_cut_off_is_no_event() {
        let mut bytes = Vec::new();
        for number in [1_u32, libc::IN_CREATE, 0, 8] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(b"a_b_c\0\0\0");
        let all: Vec<_> = Events(&bytes).collect();
        let want = Event {
            mask: libc::IN_CREATE,
            name: "a_b_c",
        };
        assert_eq!(all, [want]);
        for length in 0..bytes.len() {
            assert_eq!(Events(&bytes[..length]).next(), None, "{length}");
        }
        bytes[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(Events(&bytes).next(), None);
    }
}
