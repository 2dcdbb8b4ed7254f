//! Where a report goes, and in which shape: what every command that prints one shares.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context as _;

use crate::{
    output::{self, Format},
    report::Report,
};

/// How a report is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Printing {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Write the report to a file instead of stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Printing {
    /// Opens the file or stdout. Before anything else: who cannot write the answer need not wait for it.
    pub(super) fn open(&self) -> anyhow::Result<Printer<'_>> {
        let to: Box<dyn Write> = match &self.out {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(
                File::create(path).with_context(|| format!("cannot create {}", path.display()))?,
            ),
        };
        Ok(Printer { settings: self, to })
    }
}

/// An open place for a report.
pub(super) struct Printer<'a> {
    settings: &'a Printing,
    to: Box<dyn Write>,
}

impl Printer<'_> {
    /// Prints it.
    pub(super) fn print(&mut self, report: &Report) -> anyhow::Result<()> {
        let text = output::render(report, self.settings.output)?;
        let written = self.to.write_all(text.as_bytes());
        written
            .and_then(|()| self.to.flush())
            .with_context(|| match &self.settings.out {
                Some(file) => format!("cannot write {}", file.display()),
                None => "cannot write to stdout".to_owned(),
            })
    }
}
