//! `tcpress schema`: the JSON Schema of what tcpress writes.

use std::{io::Write as _, process::ExitCode};

use crate::{output::json, report::schema::Document};

/// Prints the JSON Schema of a document.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which.
    #[arg(value_enum, default_value_t)]
    document: Document,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(json::pretty(&args.document.schema())?.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
