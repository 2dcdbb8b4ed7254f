//! `tcpress merge`: reports of many nodes, joined.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use super::follow;
use crate::{
    capture::{self, FileError, ReadError},
    merge::Merger,
    output::{json, merged, text},
    report::{Redactor, Report, inputs::MAX_OWNERS},
};

/// Joins reports of many nodes: how each fares, who is accused and who suffers over all of them, and what affected nodes share.
///
/// Files are reports (JSON) or captures, one read after the other. One that cannot be read is told, and the exit status is then 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Reports (`tcpress report -o json`) or captures (`tcpress record`).
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Shape::Table)]
    output: Shape,
    /// Owners in each list at most; the sums are of all.
    #[arg(long, value_name = "N", default_value_t = MAX_OWNERS)]
    top: usize,
    /// Pseudonyms instead of names, addresses and labels, the same ones in all reports; files are numbered.
    #[arg(long)]
    redact: bool,
}

/// How joined reports are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Words and columns for people.
    Table,
    /// One JSON document.
    Json,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut merger = Merger::default();
    let mut redactor = args.redact.then(Redactor::default);
    let mut failed = false;
    for (at, file) in args.files.iter().enumerate() {
        let path = file.to_string_lossy();
        // Files are often called after their nodes.
        let name = match args.redact {
            true => format!("report-{}", at + 1).into(),
            false => path.clone(),
        };
        match read(file) {
            Ok(mut report) => {
                if let Some(redactor) = &mut redactor {
                    redactor.learn(&report)?;
                    report = redactor.apply(&report)?;
                }
                merger.take(&name, &report);
            }
            Err(error) => {
                failed = true;
                let why = format!("{error:#}");
                if args.redact {
                    super::say(&format!("{}: {}", text::name(&path), text::name(&why)));
                    merger.failed(&name, "it cannot be read; stderr says why");
                } else {
                    merger.failed(&name, &why);
                }
            }
        }
    }
    let all = merger.finish(env!("CARGO_PKG_VERSION"), args.top);
    let text = match args.output {
        Shape::Table => merged::table(&all),
        Shape::Json => json::pretty(&all)?,
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::from(u8::from(failed)))
}

/// The report in a file, or of the capture in it. What a damaged capture lacks stands in its report.
fn read(file: &Path) -> anyhow::Result<Report> {
    match capture::read(file) {
        Ok(capture) => Ok(capture.report()),
        Err(error @ (FileError::Io(_) | FileError::Read(ReadError::OtherAbi(..)))) => {
            Err(error.into())
        }
        Err(FileError::Read(_)) => follow::read(file),
    }
}
