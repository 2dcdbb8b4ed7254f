//! Writes the archive format that the kernel unpacks as its first root ("newc" cpio). It knows
//! bytes and names only, not what a guest needs.

use std::{
    collections::BTreeSet,
    io::{Result, Write},
};

const TYPE_DIR: u32 = 0o040_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_LINK: u32 = 0o120_000;

/// An archive being written. Folders are made as entries below them ask for it.
#[derive(Debug)]
pub(crate) struct Archive<W> {
    sink: W,
    inode: u32,
    folders: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    /// Starts an archive.
    pub(crate) fn new(sink: W) -> Self {
        Self {
            sink,
            inode: 0,
            folders: BTreeSet::new(),
        }
    }

    /// Adds a folder, and those above it.
    pub(crate) fn folder(&mut self, path: &str) -> Result<()> {
        let path = path.trim_matches('/');
        if path.is_empty() || self.folders.contains(path) {
            return Ok(());
        }
        self.parents(path)?;
        self.folders.insert(path.to_owned());
        self.entry(path, TYPE_DIR | 0o755, &[])
    }

    /// Adds a file with the given permission bits.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let path = path.trim_matches('/');
        self.parents(path)?;
        self.entry(path, TYPE_FILE | mode & 0o7777, content)
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let path = path.trim_matches('/');
        self.parents(path)?;
        self.entry(path, TYPE_LINK | 0o777, target.as_bytes())
    }

    /// Ends the archive and gives the sink back.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, &[])?;
        self.sink.flush()?;
        Ok(self.sink)
    }

    fn parents(&mut self, path: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((parent, _)) => self.folder(parent),
            None => Ok(()),
        }
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(|_| {
            std::io::Error::other(format!("{path} is larger than a cpio archive can hold"))
        })?;
        let name_size = path.len() as u32 + 1;
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
        // namesize, check
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08X}"));
        }
        self.sink.write_all(header.as_bytes())?;
        self.sink.write_all(path.as_bytes())?;
        self.sink.write_all(&[0])?;
        self.pad(header.len() + path.len() + 1)?;
        self.sink.write_all(content)?;
        self.pad(content.len())
    }

    /// Header with name, and content, each end on a multiple of four.
    fn pad(&mut self, written: usize) -> Result<()> {
        let zeros = written.next_multiple_of(4) - written;
        self.sink.write_all(&[0; 3][..zeros])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(archive: &[u8]) -> Vec<(String, u32, usize)> {
        let field = |at: usize, index: usize| {
            let start = at + 6 + index * 8;
            let text = std::str::from_utf8(&archive[start..start + 8]).unwrap();
            u32::from_str_radix(text, 16).unwrap()
        };
        let mut at = 0;
        let mut found = Vec::new();
        while at < archive.len() {
            assert_eq!(&archive[at..at + 6], b"070701");
            let (mode, size, name) = (field(at, 1), field(at, 6) as usize, field(at, 11) as usize);
            let start = at + 110;
            let text = std::str::from_utf8(&archive[start..start + name - 1]).unwrap();
            found.push((text.to_owned(), mode, size));
            at = (start + name).next_multiple_of(4) + size.next_multiple_of(4);
        }
        found
    }

    #[test]
    fn folders_come_before_what_lies_in_them_and_only_once() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/bin/tool", 0o755, b"12345").unwrap();
        archive.link("bin/sh", "tool").unwrap();
        archive.folder("bin").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(
            names(&bytes),
            [
                ("bin".to_owned(), 0o040_755, 0),
                ("bin/tool".to_owned(), 0o100_755, 5),
                ("bin/sh".to_owned(), 0o120_777, 4),
                ("TRAILER!!!".to_owned(), 0, 0),
            ]
        );
    }
}
