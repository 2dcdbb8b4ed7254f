//! What fuzz targets run, and tests over what they have found: whatever comes in, nothing panics, and nothing that comes out steers a
//! terminal.

mod arbitrary;

use clap::ValueEnum as _;
use jiff::Timestamp;
use tracer_common::TallyKey;

use crate::{
    capture, decode,
    merge::Merger,
    output::{self, Format, events, merged, table, text::is_hostile},
    report::{Evidence, Report, owner::Owner},
};

/// Whatever is in a file: a capture or not, its report is rendered.
pub fn capture(data: &[u8]) {
    let Ok(capture) = capture::parse(data) else {
        return;
    };
    render_all(&capture.report());
}

/// Whatever kernel programs may send.
pub fn record(data: &[u8]) {
    if let Ok(record) = decode::event(data) {
        let nobody = |_: &TallyKey| Owner::default();
        let event = Evidence::new(&record, &nobody, Timestamp::UNIX_EPOCH, 4096);
        tame(&events::table_line(&event));
        tame(events::ndjson_line(&event).unwrap_or_default().trim_end());
    }
    let _ = decode::timeline(data);
    if let Ok(birth) = decode::birth(data) {
        assert!(birth.path.len() <= data.len() * 3);
    }
}

/// A report that could be, in every shape.
pub fn render(data: &[u8]) {
    render_all(&report(data));
}

/// The report that bytes mean: any that the schema allows.
#[must_use]
pub fn report(data: &[u8]) -> Report {
    arbitrary::report(data)
}

fn render_all(report: &Report) {
    for format in Format::value_variants() {
        match output::render(report, *format) {
            Ok(text) => text.lines().for_each(tame),
            Err(error) => panic!("{format:?}: {error}"),
        }
    }
    tame(&table::one_line(report));
    let mut merger = Merger::default();
    merger.take("a", report);
    merger.take("b", report);
    merged::table(&merger.finish("0", 3)).lines().for_each(tame);
}

/// One line without anything that steers a terminal.
fn tame(line: &str) {
    if let Some(bad) = line.chars().find(|c| is_hostile(*c)) {
        panic!("{bad:?} in {line:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    fn corpus(target: &str) -> Vec<Vec<u8>> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let entries = fs::read_dir(folder.join(target)).unwrap();
        entries
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect()
    }

    #[test]
    fn what_was_found_once_is_tried_each_time() {
        for (target, run) in [
            ("capture", capture as fn(&[u8])),
            ("record", record),
            ("render", render),
        ] {
            let corpus = corpus(target);
            assert!(corpus.len() >= 3, "{target}");
            corpus.iter().for_each(|data| run(data));
        }
    }

    #[test]
    fn reports_made_of_bytes_have_something_in_them() {
        let filled = corpus("render").into_iter().map(|data| report(&data));
        let filled: Vec<Report> = filled.filter(|report| !report.victims.is_empty()).collect();
        assert!(!filled.is_empty());
        assert!(
            filled
                .iter()
                .any(|report| !report.verdict.advice.is_empty())
        );
        assert!(
            filled
                .iter()
                .any(|report| report.victims[0].owner.name.chars().any(is_hostile))
        );
    }
}
