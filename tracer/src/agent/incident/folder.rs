//! The folder of incident reports: a file is there whole or not at all, and there are so many, and so much, at most.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::{
    output::json,
    report::{IncidentState, Report},
};

/// Before the time in the name of a file.
const PREFIX: &str = "incident-";
/// At the end of its name.
const SUFFIX: &str = ".json";
/// A file that is being written.
const PARTIAL: &str = "partial";

/// A folder of reports, one file an incident.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    max_reports: usize,
    max_bytes: u64,
}

/// What became of a report that was to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// Files of earlier incidents that had to go.
    pub gone: Vec<PathBuf>,
}

impl Folder {
    /// The folder, made if it is not there: for its owner alone, because reports name pods and addresses.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path, max_reports: usize, max_bytes: u64) -> anyhow::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        // Left over from a process that was killed in the middle.
        match fs::remove_file(path.join(PARTIAL)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot write in {}", path.display()));
            }
            _ => {}
        }
        Ok(Self {
            path: path.to_owned(),
            max_reports: max_reports.max(1),
            max_bytes,
        })
    }

    /// Keeps a report in the place of the one of the same incident; earlier incidents go where there is no room, the oldest first.
    ///
    /// # Errors
    /// When the report says of no incident when it began, is larger than the folder may be, or cannot be written: what was there is then still
    /// there.
    pub fn keep(&self, report: &Report) -> anyhow::Result<Kept> {
        let name = report.incident.as_ref().and_then(name);
        let name = name.context("a report of no incident that was followed")?;
        let path = self.path.join(&name);
        let text = json::pretty(report).context("a report cannot be written as JSON")?;
        let size = text.len() as u64;
        ensure!(
            size <= self.max_bytes,
            "the report of {size} bytes is larger than {} may be ({} bytes): raise [incidents] max_size",
            self.path.display(),
            self.max_bytes,
        );
        let gone = self.make_room(&name, size)?;
        let partial = self.path.join(PARTIAL);
        let written = write(&partial, text.as_bytes()).and_then(|()| fs::rename(&partial, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&partial);
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
        // So that the name is there after a crash as well.
        let folder = File::open(&self.path).and_then(|folder| folder.sync_all());
        folder.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(Kept { path, gone })
    }

    /// The report of the incident that began last; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn last(&self) -> anyhow::Result<Option<Report>> {
        let Some((name, _)) = self.files()?.pop() else {
            return Ok(None);
        };
        let path = self.path.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let report = serde_json::from_slice(&text)
            .with_context(|| format!("{} holds no report", path.display()))?;
        Ok(Some(report))
    }

    /// Files with their sizes, the oldest incident first.
    fn files(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let why = || format!("cannot read {}", self.path.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).with_context(why)? {
            let entry = entry.with_context(why)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
                // One that has just been taken away by somebody else takes no room.
                let size = entry.metadata().map_or(0, |about| about.len());
                files.push((name.to_owned(), size));
            }
        }
        files.sort();
        Ok(files)
    }

    fn make_room(&self, name: &str, size: u64) -> anyhow::Result<Vec<PathBuf>> {
        let mut others = self.files()?;
        others.retain(|(other, _)| other != name);
        let mut bytes: u64 = others.iter().map(|(_, size)| size).sum();
        let mut gone = Vec::new();
        for (at, (other, its)) in others.iter().enumerate() {
            let left = others.len() - at;
            if left < self.max_reports && bytes.saturating_add(size) <= self.max_bytes {
                break;
            }
            let path = self.path.join(other);
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            bytes -= its;
            gone.push(path);
        }
        Ok(gone)
    }
}

/// The name of the file of an incident: in the order of time.
fn name(state: &IncidentState) -> Option<String> {
    let opened = state.opened?.strftime("%Y%m%dT%H%M%SZ");
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let id: String = state.id.chars().filter(plain).take(64).collect();
    Some(format!("{PREFIX}{opened}-{id}{SUFFIX}"))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;
    use crate::report::tests::incident::incident;

    /// A folder of one test, taken away at its end.
    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("tcpress-incidents-{}-{name}", process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn report(minute: u8, id: &str) -> Report {
        let mut report = incident().report();
        report.incident = Some(IncidentState {
            id: id.to_owned(),
            opened: Some(format!("2026-03-14T15:{minute:02}:26Z").parse().unwrap()),
            ..IncidentState::default()
        });
        report
    }

    fn names(folder: &Folder) -> Vec<String> {
        let files = folder.files().unwrap().into_iter();
        files.map(|(name, _)| name).collect()
    }

    #[test]
    fn one_incident_is_one_file() {
        let temporary = Temporary::new("one");
        let folder = Folder::open(&temporary.0, 5, 1 << 20).unwrap();
        assert_eq!(folder.last().unwrap(), None);
        let mut report = report(9, "tcpress-1");
        folder.keep(&report).unwrap();
        report.verdict.headline = "later".to_owned();
        let kept = folder.keep(&report).unwrap();
        assert_eq!(kept.gone, Vec::<PathBuf>::new());
        assert_eq!(names(&folder), ["incident-20260314T150926Z-tcpress-1.json"]);
        assert_eq!(folder.last().unwrap().unwrap(), report);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(kept.path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room_and_nothing_else_does() {
        let temporary = Temporary::new("room");
        let size = json::pretty(&report(0, "a")).unwrap().len() as u64;
        let folder = Folder::open(&temporary.0, 3, 10 * size).unwrap();
        fs::write(temporary.0.join("notes.txt"), "of somebody").unwrap();
        for minute in 0..5 {
            folder.keep(&report(minute, "a")).unwrap();
        }
        let left = ["02", "03", "04"].map(|m| format!("incident-20260314T15{m}26Z-a.json"));
        assert_eq!(names(&folder), left);
        // Two and a half of them find room; the one that is written anew is not counted twice.
        let folder = Folder::open(&temporary.0, 3, 5 * size / 2).unwrap();
        let kept = folder.keep(&report(4, "a")).unwrap();
        assert_eq!(kept.gone, [temporary.0.join(&left[0])]);
        let tiny = Folder::open(&temporary.0, 3, size - 1).unwrap();
        assert!(
            tiny.keep(&report(6, "a"))
                .unwrap_err()
                .to_string()
                .contains("max_size")
        );
        assert_eq!(names(&tiny), left[1..], "what was there is still there");
        assert!(temporary.0.join("notes.txt").exists());
    }

    #[test]
    fn what_a_killed_process_left_is_taken_away() {
        let temporary = Temporary::new("killed");
        fs::create_dir_all(&temporary.0).unwrap();
        fs::write(temporary.0.join(PARTIAL), "{").unwrap();
        let folder = Folder::open(&temporary.0, 3, 1 << 20).unwrap();
        assert!(!temporary.0.join(PARTIAL).exists());
        assert_eq!(folder.last().unwrap(), None);
    }

    #[test]
    fn names_of_files_are_harmless_whatever_the_incident_is_called() {
        let state = report(9, "../../etc/passwd\u{1b}").incident.unwrap();
        assert_eq!(
            name(&state).unwrap(),
            "incident-20260314T150926Z-etcpasswd.json"
        );
        assert_eq!(name(&IncidentState::default()), None);
    }
}
