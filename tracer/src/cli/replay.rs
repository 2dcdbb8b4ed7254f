//! `tcpress replay`: the report of a capture.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;

use super::print::Printing;
use crate::capture;

/// Makes the report of a file that `tcpress record` wrote, on any machine and without rights.
///
/// Of a damaged file it makes what can be made, and says what is missing; the exit status is then 1.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file, compressed or not.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    printing: Printing,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut printer = args.printing.open()?;
    let name = args.file.display();
    let capture = capture::read(&args.file).with_context(|| format!("cannot read {name}"))?;
    let version = env!("CARGO_PKG_VERSION");
    let recorder = &capture.header().tcpress;
    if recorder != version {
        super::say(&format!(
            "recorded by tcpress {}, replayed by {version}: their reports may differ",
            crate::output::text::name(recorder)
        ));
    }
    printer.print(capture.report_of(args.printing.view.owners_wanted()))?;
    if let Some(damage) = capture.damage() {
        super::say(&format!("{name} is damaged: {damage}"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(printer.code())
}
