//! An earlier report to compare with, and windows one after the other until what it found has recovered.

use std::{fs::File, io::Read as _, path::Path, process::ExitCode};

use anyhow::{Context as _, bail};

use super::{
    Paths,
    observe::{End, window},
    report::Args,
};
use crate::{
    diagnose::recovery,
    output::text,
    report::{Kind, Report, SCHEMA},
};

/// Windows in a row in which a recovery must hold: what comes in bursts is not called recovered between two of them.
const HOLDS: u32 = 3;
/// Largest document that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Reads an earlier report.
pub(super) fn read(path: &Path) -> anyhow::Result<Report> {
    let name = path.display();
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {name}"))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{name} is no report of ours: it is larger than {MAX_BYTES} bytes");
    }
    let report: Report = serde_json::from_str(&text).with_context(|| {
        format!("{name} is no report; write one with `tcpress report -o json --out FILE`")
    })?;
    if report.schema != SCHEMA {
        bail!(
            "{name} is a document of {}, and this version reads {SCHEMA}",
            text::name(&report.schema)
        );
    }
    Ok(report)
}

/// Windows until all that was found has recovered, and stays so.
pub(super) async fn until_recovered(
    paths: &Paths,
    args: &Args,
    before: Option<Report>,
) -> anyhow::Result<(Report, ExitCode)> {
    let before = match before {
        Some(before) => before,
        None => {
            let (observation, node, end) = window(paths, &args.watching).await?;
            let first = observation.report(&node, args.printing.view.owners_wanted());
            super::say(&format!(
                "found: {}",
                text::clean(&first.verdict.headline, usize::MAX)
            ));
            if first.verdict.kind == Kind::Healthy {
                super::say("there is nothing to recover from");
                return Ok((first, ExitCode::SUCCESS));
            }
            if end == End::Stop {
                return Ok((first, ExitCode::FAILURE));
            }
            first
        }
    };
    let mut held = 0;
    loop {
        let (observation, node, end) = window(paths, &args.watching).await?;
        let mut report = observation.report(&node, args.printing.view.owners_wanted());
        let mut recovery = recovery::compare(&before, &report);
        held = match recovery.recovered {
            Some(true) => held + 1,
            _ => 0,
        };
        recovery.held_windows = Some(held);
        super::say(&format!(
            "{} (held for {held} of {HOLDS} windows)",
            text::clean(&recovery.summary, usize::MAX)
        ));
        report.recovery = Some(recovery);
        if held == HOLDS {
            return Ok((report, ExitCode::SUCCESS));
        }
        if end == End::Stop {
            super::say("stopped before it had recovered");
            return Ok((report, ExitCode::FAILURE));
        }
    }
}
