//! The text of `/proc/PID/mountinfo` (`Documentation/filesystems/proc.rst`, section 3.5). Pure.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

/// One mount, as far as tcpress asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What of the file system is mounted: a path in it, or `net:[INUM]` for a network namespace.
    pub root: String,
    /// Where it is mounted, as the process sees it.
    pub at: PathBuf,
    /// Type of the file system, as `nsfs` or `cgroup2`.
    pub fstype: String,
}

/// Reads the text, given as bytes because paths need not be UTF-8. A line that cannot be understood is
/// passed over.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').filter_map(line).collect()
}

/// `ID PARENT MAJOR:MINOR ROOT AT OPTIONS [TAG…] - FSTYPE SOURCE OPTIONS`
fn line(text: &[u8]) -> Option<Mount> {
    let mut words = text.split(|&byte| byte == b' ');
    let root = words.nth(3)?;
    let at = words.next()?;
    words.find(|word| *word == b"-")?;
    let fstype = words.next()?;
    Some(Mount {
        root: String::from_utf8_lossy(&unescape(root)).into_owned(),
        at: PathBuf::from(OsString::from_vec(unescape(at))),
        fstype: String::from_utf8_lossy(fstype).into_owned(),
    })
}

/// Space, tab, newline and backslash are written as three octal digits (`mangle_path`, `fs/seq_file.c`).
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        match escaped {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(first);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mounts() {
        let text =
            b"31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 master:1 - cgroup2 cgroup2 rw\n\
            99 31 0:4 net:[4026532281] /run/netns/a\\040b\\134c rw - nsfs nsfs rw\n";
        assert_eq!(
            parse(text),
            [
                Mount {
                    root: "/".into(),
                    at: "/sys/fs/cgroup".into(),
                    fstype: "cgroup2".into()
                },
                Mount {
                    root: "net:[4026532281]".into(),
                    at: "/run/netns/a b\\c".into(),
                    fstype: "nsfs".into()
                },
            ]
        );
    }

    #[test]
    fn passes_over_rubbish() {
        for bad in [
            &b""[..],
            b"1 2 3",
            b"1 2 3 / /x rw",
            b"1 2 3 / /x rw -",
            b"\xff\xff \\0 \\",
        ] {
            assert_eq!(parse(bad), [], "{bad:?}");
        }
        assert_eq!(unescape(b"\\40\\999\\"), b"\\40\\999\\");
    }
}
