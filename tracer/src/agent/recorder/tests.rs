//! Whatever happens to the file, every whole frame is found and none that is not; whatever is asked of the recorder, each count is
//! in the answer once.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::PathBuf,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    History, HistoryError, Log, LogError, MIN_SIZE, Recorder,
    frame::{HEAD, room},
    index::RING,
};
use crate::{capture::tests::minute, fixture::Fixture};

/// The same numbers in each run (Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_773_500_966 + second).unwrap()
}

fn open(path: &std::path::Path) -> Log {
    Log::open(path, MIN_SIZE, false).unwrap()
}

/// Numbers and payloads of all frames that a reader finds, and how many it misses.
fn found(path: &std::path::Path) -> (Vec<(u64, Vec<u8>)>, u64) {
    let history = History::open(path).unwrap();
    let entries = history.index.entries.iter();
    let payloads = entries.map(|entry| {
        let payload = entry.payload(&history.file, history.title.id).unwrap();
        (entry.head.seq, payload.unwrap())
    });
    (payloads.collect(), history.missing())
}

fn new_path(folder: &Fixture) -> PathBuf {
    folder.path().join("state/history.tcpress")
}

#[test]
fn a_ring_holds_what_a_queue_would() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut chance = Chance(1);
    let mut log = open(&path);
    // (number, where it begins, room, payload), the oldest first.
    let mut model: VecDeque<(u64, u64, u64, Vec<u8>)> = VecDeque::new();
    let mut head = RING;
    let mut laps = 0;
    for seq in 0..600 {
        let most = match chance.below(4) {
            0 => 200_000,
            1 => 30_000,
            _ => 3_000,
        };
        let count = chance.below(most) as usize;
        let payload = chance.bytes(count);
        let need = room(payload.len() as u64);
        if head + need > MIN_SIZE {
            head = RING;
            laps += 1;
        }
        while model
            .iter()
            .any(|(_, from, room, _)| *from < head + need && head < from + room)
        {
            model.pop_front();
        }
        model.push_back((seq, head, need, payload.clone()));
        head += need;
        log.append([at(0), at(1)], &payload).unwrap();
        if chance.below(9) == 0 {
            // Killed and started again.
            drop(log);
            log = open(&path);
            assert_eq!(log.words(), [""; 0], "frame {seq}");
        }
        if seq % 20 == 0 {
            let want: Vec<_> = model
                .iter()
                .map(|(seq, _, _, bytes)| (*seq, bytes.clone()))
                .collect();
            assert_eq!(found(&path), (want, 0), "frame {seq}");
        }
    }
    assert!(laps > 10, "{laps} times around");
}

#[test]
fn a_write_that_stops_at_any_byte_makes_no_frame_and_harms_no_other() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut chance = Chance(2);
    let mut log = open(&path);
    // Once around, so that the next write goes over an older frame and a part of the one after.
    let mut seq = 0;
    while log.head + room(40_000) <= MIN_SIZE {
        log.append([at(0), at(1)], &chance.bytes(40_000)).unwrap();
        seq += 1;
    }
    log.append([at(0), at(1)], &chance.bytes(40_000)).unwrap();
    seq += 1;
    assert!(log.head < RING + 2 * room(40_000), "not around yet");
    let before = std::fs::read(&path).unwrap();
    let offset = log.head as usize;
    let payload = chance.bytes(100);
    log.append([at(0), at(1)], &payload).unwrap();
    let after = std::fs::read(&path).unwrap();
    drop(log);
    let length = HEAD as usize + 100;
    assert_eq!(before[..offset], after[..offset]);
    assert_eq!(before[offset + length..], after[offset + length..]);
    let whole = {
        std::fs::write(&path, &after).unwrap();
        found(&path).0
    };
    assert_eq!(whole.last().unwrap(), &(seq, payload));
    let older: Vec<_> = whole[..whole.len() - 1].to_vec();
    for (what, rest) in [
        ("the older bytes stay", None),
        ("zeros", Some(0)),
        ("garbage", Some(0xa5)),
    ] {
        for written in 0..length {
            let mut bytes = before.clone();
            bytes[offset..offset + written].copy_from_slice(&after[offset..offset + written]);
            if let Some(rest) = rest {
                bytes[offset + written..offset + length].fill(rest);
            }
            if bytes == after {
                continue;
            }
            // Only what differs is written: the file is large.
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&bytes[offset..offset + length], offset as u64)
                .unwrap();
            let (frames, _) = found(&path);
            assert!(
                frames.iter().all(|frame| frame.0 != seq),
                "{what} after {written} bytes"
            );
            let found: Vec<_> = frames
                .into_iter()
                .filter(|frame| older.iter().any(|it| it.0 == frame.0))
                .collect();
            assert_eq!(found, older, "{what} after {written} bytes");
        }
    }
    // What comes next takes its place.
    let mut log = open(&path);
    log.append([at(0), at(1)], b"next").unwrap();
    let (frames, _) = found(&path);
    assert_eq!(frames.last().unwrap().1, b"next");
    assert_eq!(
        frames[frames.len() - 1 - older.len()..frames.len() - 1],
        older
    );
}

#[test]
fn what_is_damaged_in_between_is_missing_and_counted() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut log = open(&path);
    for n in 0..5_u8 {
        log.append([at(0), at(1)], &[n; 100]).unwrap();
    }
    drop(log);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let second = RING + room(100);
    file.write_all_at(&[9], second + HEAD + 50).unwrap();
    let (frames, missing) = found(&path);
    let numbers: Vec<_> = frames.iter().map(|(seq, _)| *seq).collect();
    assert_eq!((numbers, missing), (vec![0, 2, 3, 4], 1));
    assert!(open(&path).words()[0].contains("1 frame of the recording"));
    // Its last one, of which the head is left: the number is not given again.
    let last = RING + 4 * room(100);
    file.write_all_at(&[9], last + HEAD + 50).unwrap();
    let log = open(&path);
    assert_eq!((log.frames(), log.next_seq()), (3, 5));
}

#[test]
fn only_one_writes_and_anybody_may_read() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut log = open(&path);
    log.append([at(0), at(1)], b"x").unwrap();
    assert!(matches!(
        Log::open(&path, MIN_SIZE, true),
        Err(LogError::Locked(_))
    ));
    assert_eq!(found(&path).0.len(), 1);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(log);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open(&path).words()[0].contains("open to others"));
}

#[test]
fn sizes_are_kept_and_what_is_not_ours_is_left_alone() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    for size in [0, MIN_SIZE - 1, u64::MAX] {
        assert!(matches!(
            Log::open(&path, size, true),
            Err(LogError::Size(_))
        ));
    }
    assert!(!path.exists());
    let mut log = open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), MIN_SIZE);
    assert!(matches!(
        log.append([at(0), at(1)], &vec![0; MIN_SIZE as usize / 2]),
        Err(LogError::Frame(_))
    ));
    log.append([at(0), at(1)], b"kept").unwrap();
    drop(log);
    let log = Log::open(&path, 2 * MIN_SIZE, false).unwrap();
    assert!(
        log.words()[0].contains("goes on to be used"),
        "{:?}",
        log.words()
    );
    assert_eq!(log.frames(), 1);
    drop(log);
    let log = Log::open(&path, 2 * MIN_SIZE, true).unwrap();
    assert_eq!(log.frames(), 0);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 2 * MIN_SIZE);
    drop(log);
    // Another version.
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut page = super::index::Title {
        size: MIN_SIZE,
        id: 1,
    }
    .to_bytes();
    page[8] = 9;
    let seal = super::frame::hash(0, &page[..32]);
    page[32..40].copy_from_slice(&seal.to_le_bytes());
    file.write_all_at(&page, 0).unwrap();
    assert!(matches!(
        Log::open(&path, MIN_SIZE, false),
        Err(LogError::Foreign(..))
    ));
    assert!(matches!(
        History::open(&path),
        Err(HistoryError::Version(_, 9))
    ));
    // Anything else.
    let text = "precious\n".repeat(1_000);
    std::fs::write(&path, &text).unwrap();
    assert!(matches!(
        Log::open(&path, MIN_SIZE, false),
        Err(LogError::Foreign(..))
    ));
    assert!(matches!(
        History::open(&path),
        Err(HistoryError::Foreign(_))
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    assert_eq!(Log::open(&path, MIN_SIZE, true).unwrap().frames(), 0);
    // One that was never finished, and one whose first page is damaged.
    for length in [0, 17, MIN_SIZE] {
        File::create(&path).unwrap().set_len(length).unwrap();
        assert_eq!(open(&path).frames(), 0);
    }
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[1], 20).unwrap();
    assert!(matches!(
        History::open(&path),
        Err(HistoryError::Damaged(_))
    ));
    assert!(open(&path).words()[0].contains("first page is damaged"));
    // A link leads to somebody else's file, a folder is none.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(
        Log::open(&link, MIN_SIZE, true),
        Err(LogError::Io(..))
    ));
    assert!(Log::open(folder.path(), MIN_SIZE, true).is_err());
}

#[test]
fn a_disk_without_room_is_told_and_takes_nothing() {
    let folder = Fixture::new();
    let path = folder.path().join("history");
    let file = File::create(&path).unwrap();
    // More than any file may have.
    let error = super::log::make(&path, &file, 1 << 62).unwrap_err();
    assert!(matches!(error, LogError::NoRoom(..)), "{error}");
    assert!(error.to_string().contains("smaller size"), "{error}");
    assert_eq!(file.metadata().unwrap().len(), 0);
    drop(file);
    assert_eq!(open(&path).frames(), 0, "the next one begins anew");
    let nowhere = std::path::Path::new("/proc/self/history");
    assert!(matches!(
        Log::open(nowhere, MIN_SIZE, false),
        Err(LogError::Io(..))
    ));
}

#[test]
fn a_cut_file_gives_what_it_has() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut log = open(&path);
    for n in 0..20_u8 {
        log.append([at(0), at(1)], &[n; 1000]).unwrap();
    }
    drop(log);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for length in (0..RING + 20 * room(1000)).rev().step_by(333) {
        file.set_len(length).unwrap();
        match History::open(&path) {
            Ok(history) => {
                let whole = length.saturating_sub(RING) / room(1000);
                let got = history.index.entries.len() as u64;
                // The last one may lack nothing but what fills it up.
                assert!(got == whole || got == whole + 1, "{got} of {whole}");
            }
            Err(_) => assert!(length < RING),
        }
    }
}

#[test]
fn hostile_bytes_are_no_frames() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    drop(open(&path));
    let mut chance = Chance(3);
    let bytes = chance.bytes(MIN_SIZE as usize - RING as usize);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&bytes, RING).unwrap();
    assert_eq!(found(&path), (Vec::new(), 0));
    // A frame of another file.
    let other = folder.path().join("other");
    let mut log = open(&other);
    log.append([at(0), at(1)], b"theirs").unwrap();
    let theirs = std::fs::read(&other).unwrap();
    file.write_all_at(&theirs[RING as usize..], RING).unwrap();
    assert_eq!(found(&path), (Vec::new(), 0));
    // Whole frames that are no captures: text, nothing, and much in little.
    let mut log = open(&path);
    let bomb = zstd::bulk::compress(&vec![b'x'; 80 << 20], 1).unwrap();
    for payload in [&b"no capture"[..], &[], &bomb] {
        log.append([at(0), at(60)], payload).unwrap();
    }
    let history = History::open(&path).unwrap();
    assert!(matches!(
        history.between(at(0), at(60)),
        Err(HistoryError::Frame(_))
    ));
    // Beside a good one they are a gap.
    log.write(&minute(0, 5)).unwrap();
    let report = History::open(&path)
        .unwrap()
        .between(at(0), at(60))
        .unwrap()
        .report();
    assert_eq!(report.victims[0].refused(), 5);
    let gap = |gap: &&String| gap.contains("3 frames of this time are not understood");
    assert!(
        report.losses.gaps.iter().any(|it| gap(&it)),
        "{:?}",
        report.losses.gaps
    );
}

#[test]
fn an_answer_is_of_the_time_that_was_asked_for() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut log = open(&path);
    // Minute n has 2^n refusals; the fourth was not recorded.
    for n in [0, 1, 2, 4, 5] {
        log.write(&minute(n, 1 << n)).unwrap();
    }
    let history = History::open(&path).unwrap();
    assert_eq!(history.held(), Some([at(0), at(360)]));
    let refused = |since, until| {
        let capture = history.between(at(since), at(until)).unwrap();
        let report = capture.report();
        let refused: u64 = report
            .victims
            .iter()
            .map(crate::report::Victim::refused)
            .sum();
        (refused, report)
    };
    assert_eq!(refused(0, 360).0, 0b11_0111);
    assert_eq!(refused(0, 60).0, 0b1);
    assert_eq!(refused(59, 61).0, 0b11);
    assert_eq!(refused(60, 61).0, 0b10);
    let (count, report) = refused(130, 250);
    assert_eq!(count, 0b1_0100);
    assert_eq!((report.window.start, report.window.end), (at(120), at(300)));
    let gap = |gap: &String| gap.contains("nothing was watched from");
    assert!(
        report.losses.gaps.iter().any(gap),
        "{:?}",
        report.losses.gaps
    );
    for (since, until) in [(-100, 0), (180, 240), (360, 1000)] {
        match history.between(at(since), at(until)) {
            Err(HistoryError::NotRecorded(it)) => {
                assert_eq!(it.held, Some([at(0), at(360)]));
                assert!(it.to_string().contains("2026-03-14T15:09:26Z"), "{it}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_frame_that_is_lost_is_a_gap_of_its_time() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    let mut log = open(&path);
    for n in 0..3 {
        log.write(&minute(n, 1)).unwrap();
    }
    let second = log.live[1];
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0; 8], second.offset + HEAD).unwrap();
    let report = History::open(&path)
        .unwrap()
        .between(at(0), at(180))
        .unwrap()
        .report();
    assert_eq!(report.victims[0].refused(), 2);
    for words in ["1 frame of this time", "nothing was watched from"] {
        let gap = |gap: &String| gap.contains(words);
        assert!(
            report.losses.gaps.iter().any(gap),
            "{:?}",
            report.losses.gaps
        );
    }
}

#[test]
fn each_window_is_in_an_answer_once_whoever_has_it() {
    let folder = Fixture::new();
    let path = new_path(&folder);
    // Three minutes in memory, of windows of 20 seconds; ten in the file.
    let mut recorder = Recorder::new(Duration::from_secs(170), Some(open(&path))).unwrap();
    let mut refused = 0;
    for n in 0..30 {
        let mut window = minute(n, 1 + n);
        refused += 1 + n;
        window.shorten(n, SignedDuration::from_secs(20));
        recorder.take(window).unwrap();
        // The thread writes when it comes to it: frames are the same ones whenever that is.
        while recorder.status().unwrap().written < (n + 1) / 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let all = recorder.between(at(-100), at(10_000)).unwrap().report();
        assert_eq!(all.victims[0].refused(), refused, "window {n}");
        assert_eq!(
            (all.window.start, all.window.end),
            (at(0), at(20 * (n as i64 + 1)))
        );
    }
    assert_eq!(recorder.oldest(), Some(at(0)));
    let last = recorder.between(at(520), at(10_000)).unwrap();
    // Windows 26 to 29, second by second.
    let report = last.report();
    assert_eq!(report.victims[0].refused(), 27 + 28 + 29 + 30);
    assert!(matches!(
        recorder.between(at(601), at(700)),
        Err(HistoryError::NotRecorded(_))
    ));
    // The part of a minute that is left is written at the end.
    let mut window = minute(30, 100);
    window.shorten(30, SignedDuration::from_secs(20));
    recorder.take(window).unwrap();
    recorder.close();
    let all = History::open(&path)
        .unwrap()
        .between(at(0), at(10_000))
        .unwrap();
    assert_eq!(all.report().victims[0].refused(), refused + 100);
}

#[test]
fn memory_is_bounded_in_time_and_bytes() {
    let mut recorder = Recorder::new(Duration::from_secs(300), None).unwrap();
    for n in 0..20 {
        recorder.take(minute(n, 1)).unwrap();
    }
    assert_eq!(recorder.oldest(), Some(at(15 * 60)));
    assert_eq!(recorder.status(), None);
    let mut memory = super::Memory::new(Duration::from_secs(300), 3_000);
    for n in 0..20 {
        memory.take(&minute(n, 1), None).unwrap();
        assert!(memory.bytes() <= 3_000);
    }
    let (bytes, oldest) = (memory.bytes(), memory.oldest());
    assert!(bytes > 0);
    memory.cut();
    assert!((1..=bytes / 2).contains(&memory.bytes()), "the last stays");
    assert!(memory.oldest() > oldest);
    let seen = memory.between(at(0), at(10_000), false).last().unwrap();
    assert_eq!(seen.unwrap().ends()[1], at(20 * 60));
    let mut none = super::Memory::new(Duration::from_secs(300), 10);
    assert!(none.take(&minute(0, 1), None).is_err());
    assert_eq!((none.bytes(), none.oldest()), (0, None));
    none.cut();
}
