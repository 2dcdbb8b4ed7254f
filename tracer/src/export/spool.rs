//! What could not be sent waits in a folder, one file a message, and is sent first at the next export, in the order in which it
//! came. A file is there whole or not at all; the folder has a largest size, and what no longer fits is counted.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::Message;

/// Name and version of the files.
const SCHEMA: &str = "tcpress.spool/v1";
/// Largest file that is read.
const MAX_FILE: u64 = 64 << 20;
/// End of the names of messages that wait.
const WAITING: &str = ".json";
/// End of the names of messages that the far end does not take, or that cannot be read.
const ASIDE: &str = ".rejected";
/// Is locked while something is written.
const WRITING: &str = "write.lock";
/// Is locked while the messages are sent.
const SENDING: &str = "send.lock";
/// A file that is being written.
const PARTIAL: &str = "partial";
/// How many messages found no room.
const LOST: &str = "lost";

/// One file.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    schema: String,
    message: Message,
}

/// A folder of messages.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    max_bytes: u64,
}

/// What became of a message that was to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It waits, or did already.
    Waits(Entry),
    /// There is no room.
    NoRoom,
}

/// A message that waits, by the name of its file: names are in the order of coming.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry(String);

impl Entry {
    /// The key of its message.
    fn key(&self) -> Option<&str> {
        self.0.strip_suffix(WAITING)?.split_once('-').map(|it| it.1)
    }

    /// The number that its name begins with.
    fn number(&self) -> Option<u64> {
        self.0.split_once('-')?.0.parse().ok()
    }
}

impl Spool {
    /// A folder, made if it is not there: for its owner alone, because messages name pods and addresses.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path, max_bytes: u64) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("cannot make the spool {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            max_bytes,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a message. One that waits already keeps its place.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn put(&self, message: &Message) -> anyhow::Result<Kept> {
        let _lock = self.lock(WRITING)?;
        let waiting = self.waiting()?;
        let same = |entry: &&Entry| {
            entry.key() == Some(&message.key)
                && self.read(entry).is_ok_and(|there| there == *message)
        };
        if let Some(entry) = waiting.iter().find(same) {
            return Ok(Kept::Waits(entry.clone()));
        }
        let document = Document {
            schema: SCHEMA.to_owned(),
            message: message.clone(),
        };
        let bytes = serde_json::to_vec(&document)?;
        if self.size()?.saturating_add(bytes.len() as u64) > self.max_bytes {
            return Ok(Kept::NoRoom);
        }
        // A clock that was set back does not change the order.
        let last = waiting.iter().filter_map(Entry::number).max();
        let number = now().max(last.map_or(0, |last| last.saturating_add(1)));
        let entry = Entry(format!("{number:020}-{}{WAITING}", message.key));
        self.write(&entry.0, &bytes)?;
        Ok(Kept::Waits(entry))
    }

    /// All that waits, in the order of coming.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn waiting(&self) -> anyhow::Result<Vec<Entry>> {
        let names = self.names()?.into_iter().map(Entry);
        let mut entries: Vec<Entry> = names
            .filter(|entry| entry.key().is_some() && entry.number().is_some())
            .collect();
        entries.sort();
        Ok(entries)
    }

    /// The message of an entry.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(&self, entry: &Entry) -> anyhow::Result<Message> {
        let path = self.folder.join(&entry.0);
        let name = path.display();
        let mut bytes = Vec::new();
        let file = File::open(&path).with_context(|| format!("cannot read {name}"))?;
        file.take(MAX_FILE)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {name}"))?;
        let document: Document =
            serde_json::from_slice(&bytes).with_context(|| format!("{name} is no message"))?;
        ensure!(document.schema == SCHEMA, "{name} is of another version");
        Ok(document.message)
    }

    /// Forgets a message that was sent.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn remove(&self, entry: &Entry) -> anyhow::Result<()> {
        let path = self.folder.join(&entry.0);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        Ok(self.settle()?)
    }

    /// Takes a message out of the way of the others and keeps it; gives its file.
    ///
    /// # Errors
    /// When its file cannot be renamed.
    pub fn set_aside(&self, entry: &Entry) -> anyhow::Result<PathBuf> {
        let from = self.folder.join(&entry.0);
        let to = self.folder.join(format!("{}{ASIDE}", entry.0));
        fs::rename(&from, &to).with_context(|| format!("cannot rename {}", from.display()))?;
        self.settle()?;
        Ok(to)
    }

    /// Counts a message that found no room; gives how many did.
    ///
    /// # Errors
    /// When the count cannot be written.
    pub fn count_lost(&self) -> anyhow::Result<u64> {
        let _lock = self.lock(WRITING)?;
        let lost = self.lost().saturating_add(1);
        self.write(LOST, lost.to_string().as_bytes())?;
        Ok(lost)
    }

    /// How many messages found no room since that was last told; it begins anew.
    ///
    /// # Errors
    /// When the count cannot be removed.
    pub fn take_lost(&self) -> anyhow::Result<u64> {
        let _lock = self.lock(WRITING)?;
        let lost = self.lost();
        if lost > 0 {
            fs::remove_file(self.folder.join(LOST)).context("cannot reset the count of losses")?;
        }
        Ok(lost)
    }

    /// The right to send from it; `None` while another process does.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn sending(&self) -> anyhow::Result<Option<File>> {
        let file = self.lock_file(SENDING)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the spool"),
        }
    }

    fn lost(&self) -> u64 {
        let text = fs::read_to_string(self.folder.join(LOST)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn names(&self) -> anyhow::Result<Vec<String>> {
        let list = || -> io::Result<Vec<String>> {
            let names =
                fs::read_dir(&self.folder)?.map(|it| Ok(it?.file_name().into_string().ok()));
            names.filter_map(Result::transpose).collect()
        };
        list().with_context(|| format!("cannot list the spool {}", self.folder.display()))
    }

    /// Bytes of all messages, those set aside too.
    fn size(&self) -> anyhow::Result<u64> {
        let names = self.names()?;
        let messages = names
            .iter()
            .filter(|name| name.ends_with(WAITING) || name.ends_with(ASIDE));
        // Whatever vanishes meanwhile takes no room.
        let sizes = messages.filter_map(|name| fs::metadata(self.folder.join(name)).ok());
        Ok(sizes.map(|it| it.len()).fold(0, u64::saturating_add))
    }

    /// Writes a file so that it is there whole or not at all, and still is after a loss of power. The lock makes sure that nobody else
    /// writes the partial file; what a crash left of one is overwritten.
    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let partial = self.folder.join(PARTIAL);
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true).mode(0o600);
            let mut file = options.open(&partial)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&partial, self.folder.join(name))?;
            self.settle()
        };
        write().with_context(|| format!("cannot write to the spool {}", self.folder.display()))
    }

    /// Makes names that have changed last.
    fn settle(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn lock(&self, name: &str) -> anyhow::Result<File> {
        let file = self.lock_file(name)?;
        file.lock().context("cannot lock the spool")?;
        Ok(file)
    }

    fn lock_file(&self, name: &str) -> anyhow::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        options
            .open(self.folder.join(name))
            .with_context(|| format!("cannot write to the spool {}", self.folder.display()))
    }
}

/// Milliseconds of the clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
