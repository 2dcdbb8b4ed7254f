//! `tcpress record`: a report, and beside it everything that it was made from.

use std::{fs::File, path::PathBuf, process::ExitCode};

use anyhow::Context as _;

use super::{
    Paths,
    observe::{Watching, window},
    print::Printing,
};
use crate::capture;

/// Watches as `report` does, and writes everything that the report is made from to a file.
///
/// `tcpress replay FILE` makes the same report of it, to the last byte, on any machine and without rights.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to: lines of JSON, compressed by Zstandard if the name ends in .zst.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    watching: Watching,
    #[command(flatten)]
    printing: Printing,
}

pub(super) async fn run(paths: &Paths, args: &Args) -> anyhow::Result<ExitCode> {
    let mut printer = args.printing.open()?;
    let name = args.file.display();
    let file = File::create(&args.file).with_context(|| format!("cannot create {name}"))?;
    let (observation, node, _) = window(paths, &args.watching).await?;
    let view = &args.printing.view;
    let capture = observation.capture(&node, view.owners_recorded());
    capture::write(&capture, file, &args.file).with_context(|| format!("cannot write {name}"))?;
    super::say(&format!("recorded: {name}"));
    printer.print(capture.report_of(view.owners_wanted()))?;
    Ok(printer.code())
}
