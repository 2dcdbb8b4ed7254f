//! What goes into a file comes out of it; what a damaged file lacks is told.

use std::{collections::BTreeMap, fs::File, io::Write as _};

use jiff::SignedDuration;
use serde_json::Value;
use tracer_common::tally::{limit, queue};

use super::{
    Capture, FileError, ReadError, Record, SCHEMA,
    file::{lines, parse, read, write},
};
use crate::{
    fixture::Fixture,
    report::{
        Confidence, Inputs, Report,
        tests::{
            fixture::{Fixture as Node, REDIS, refuse},
            incident::incident,
        },
    },
};

/// The report of a capture that went through its lines.
pub(crate) fn replay(capture: &Capture) -> Report {
    let back = parse(text(capture).as_bytes()).unwrap();
    assert_eq!(back.damage(), None);
    assert_eq!(&back, capture, "what is written comes back");
    back.report()
}

fn text(capture: &Capture) -> String {
    let mut text = Vec::new();
    lines(capture, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn captured() -> Capture {
    incident().with_inputs(Capture::of)
}

/// The capture of the nth minute of a node, in which segments of one pod were refused.
pub(crate) fn minute(n: u64, refused: u64) -> Capture {
    let mut node = Node::quiet();
    node.duration_ns = 60_000_000_000;
    node.tally(REDIS, |value| {
        refuse(value, queue::RCV, limit::TCP_MEM_HARD, refused);
    });
    let mut capture = node.with_inputs(Capture::of);
    capture.move_by(SignedDuration::from_secs(60 * n as i64));
    capture
}

#[test]
fn a_clock_that_was_set_within_a_window_is_known_as_it_was_before() {
    for (set, known) in [(7_200, true), (-7_200, true), (0, false)] {
        let set = SignedDuration::from_secs(set);
        let capture = incident().with_inputs(|inputs| {
            let mut window = inputs.window;
            window.end += set;
            Capture::of(&Inputs { window, ..*inputs })
        });
        let zero = capture.header.monotonic_zero;
        let zeros = known.then(|| [zero - set, zero]);
        assert_eq!(capture.header.zeros, zeros, "{set:#}");
    }
}

impl Capture {
    /// The same window at another time.
    pub(crate) fn move_by(&mut self, by: SignedDuration) {
        let window = &mut self.header.window;
        window.start += by;
        window.end += by;
        for scan in self.scans.values_mut() {
            scan.at = scan.at.map(|at| at + by);
        }
        let by = u64::try_from(by.as_nanos()).unwrap();
        self.events.iter_mut().for_each(|event| event.at_ns += by);
        self.timeline
            .iter_mut()
            .for_each(|moment| moment.at_ns += by);
    }

    /// Makes the nth minute the nth of shorter windows.
    pub(crate) fn shorten(&mut self, n: u64, length: SignedDuration) {
        let minute = SignedDuration::from_secs(60);
        let window = &mut self.header.window;
        window.start -= (minute - length) * n as i32;
        window.end = window.start + length;
        window.duration_ns = u64::try_from(length.as_nanos()).unwrap();
    }
}

fn damage_of(text: &[u8]) -> String {
    let capture = parse(text).unwrap();
    let report = capture.report();
    let damage = capture.damage().unwrap().to_owned();
    assert!(
        report.verdict.summary.contains(&damage),
        "{}",
        report.verdict.summary
    );
    assert!(report.losses.gaps.iter().any(|gap| gap.contains(&damage)));
    assert_ne!(report.verdict.confidence, Confidence::High);
    damage
}

#[test]
fn the_header_counts_what_follows() {
    let capture = captured();
    let text = text(&capture);
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        *kinds
            .entry(line["record"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    assert_eq!(capture.header().records, kinds);
    let head: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(head["record"], "header");
    assert_eq!(head["schema"], SCHEMA);
    for kind in ["owner", "name", "tally", "row", "scan", "socket", "event"] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn files_plain_and_compressed_by_what_they_are() {
    let capture = captured();
    let folder = Fixture::new();
    for name in ["plain.ndjson", "small.ndjson.zst", "small.zst"] {
        let path = folder.path().join(name);
        write(&capture, File::create(&path).unwrap(), &path).unwrap();
        assert_eq!(read(&path).unwrap(), capture, "{name}");
        // The name says how to write; what is there says how to read.
        let other = folder.path().join("other");
        std::fs::rename(&path, &other).unwrap();
        assert_eq!(read(&other).unwrap(), capture, "{name}");
    }
}

#[test]
fn a_file_that_ends_early_gives_what_it_has() {
    let capture = captured();
    let text = text(&capture);
    let sockets = capture.header().records["socket"];
    // The sockets are last; half of the last line is gone, and with it one socket.
    let damage = damage_of(&text.as_bytes()[..text.len() - 20]);
    assert!(damage.contains("ends within a line"), "{damage}");
    assert!(
        damage.contains(&format!("1 of {sockets} socket")),
        "{damage}"
    );

    let head = text.split_inclusive('\n').next().unwrap();
    let damage = damage_of(head.as_bytes());
    for (kind, count) in &capture.header().records {
        assert!(
            damage.contains(&format!("{count} of {count} {kind}")),
            "{damage}"
        );
    }
}

#[test]
fn a_compressed_file_that_ends_early_gives_what_it_has() {
    let mut capture = captured();
    // Some more, so that it takes more than one block of 128 KiB.
    let gaps = (0..20_000).map(|number| format!("gap {number:x}: {}", number * 7919 % 10_007));
    capture.gaps.extend(gaps);
    capture.header.records = capture.count();
    let folder = Fixture::new();
    let path = folder.path().join("capture.zst");
    write(&capture, File::create(&path).unwrap(), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let read = read(&path).unwrap();
    assert!(
        read.damage().unwrap().contains("after line"),
        "{:?}",
        read.damage()
    );
    assert!(!read.gaps.is_empty() && read.gaps.len() < capture.gaps.len());
    // Its beginning alone is no capture.
    std::fs::write(&path, &whole[..10]).unwrap();
    assert!(super::file::read(&path).is_err());
}

#[test]
fn lines_that_are_none_are_counted() {
    let text = text(&captured());
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(3, r#"{"record":"of_a_later_version","x":1}"#);
    lines.insert(5, "\u{0}\u{1b}[2J");
    let head = lines[0];
    lines.push(head);
    let damage = damage_of(format!("{}\n", lines.join("\n")).as_bytes());
    assert!(
        damage.starts_with("3 lines were not understood, first line 4 ("),
        "{damage}"
    );
    assert!(!damage.contains('\u{1b}'));
}

#[test]
fn an_owner_whose_line_is_lost_is_unknown() {
    let capture = captured();
    let text = text(&capture);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("\"record\":\"owner\""))
        .collect();
    let report = parse(format!("{}\n", lines.join("\n")).as_bytes())
        .unwrap()
        .report();
    assert!(
        report
            .victims
            .iter()
            .all(|victim| victim.owner.k8s_pod_name.is_none())
    );
    assert_eq!(
        report
            .victims
            .iter()
            .map(crate::report::Victim::refused)
            .sum::<u64>(),
        capture
            .report()
            .victims
            .iter()
            .map(crate::report::Victim::refused)
            .sum::<u64>(),
    );
}

#[test]
fn what_is_no_capture_says_so() {
    let error = |text: &str| match parse(text.as_bytes()) {
        Err(FileError::Read(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error(""), ReadError::Empty));
    assert!(matches!(error("no JSON\n"), ReadError::NoHeader(_)));
    assert!(matches!(error("{}\n"), ReadError::NoHeader(_)));
    let report = r#"{"schema":"tcpress.report/v1"}"#;
    assert!(error(report).to_string().contains("tcpress.report/v1"));
    let capture = captured();
    let mut head = capture.records().next().unwrap();
    let Record::Header(header) = &mut head else {
        panic!()
    };
    header.abi += 1;
    let line = format!("{}\n", serde_json::to_string(&head).unwrap());
    assert!(
        error(&line)
            .to_string()
            .contains("replay it with the version that recorded it")
    );
    let folder = Fixture::new();
    assert!(matches!(
        read(&folder.path().join("none")),
        Err(FileError::Io(_))
    ));
    let path = folder.path().join("evil");
    File::create(&path)
        .unwrap()
        .write_all(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0])
        .unwrap();
    assert!(read(&path).is_err());
}
