//! Where a report goes, and in which shape: what every command that prints one shares.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;

use super::view::{Look, View};
use crate::{
    output::{self, Format},
    report::{Redactor, Report},
};

/// Exit status where there is a finding, with `--exit-code`.
const FINDING: u8 = 3;

/// How a report is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Printing {
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Write the report to a file instead of stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit status 3 where the verdict is a finding: neither healthy nor inconclusive.
    #[arg(long)]
    exit_code: bool,
    /// Pseudonyms instead of names, addresses and labels: one name has the same one in all of the report.
    #[arg(long)]
    redact: bool,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    pub(super) view: View,
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
        Ok(Printer {
            settings: self,
            to,
            found: false,
            redactor: Redactor::default(),
        })
    }
}

/// An open place for reports.
pub(super) struct Printer<'a> {
    settings: &'a Printing,
    to: Box<dyn Write>,
    /// Whether a report with a finding has been printed.
    found: bool,
    /// One name has one pseudonym in all reports of a stream.
    redactor: Redactor,
}

impl Printer<'_> {
    /// Prints one, as far as it is to be shown.
    pub(super) fn print(&mut self, report: Report) -> anyhow::Result<()> {
        self.found |= report.verdict.kind.is_finding();
        let settings = self.settings;
        if settings.redact {
            self.redactor.learn(&report)?;
        }
        // Filters know names, so they come first; a part of a report has the pseudonyms of the whole.
        let mut report = settings.view.of(report);
        if settings.redact {
            report = self.redactor.apply(&report)?;
        }
        let style = settings.look.style(settings.out.is_some());
        let text = output::render_in(&report, settings.output, style)?;
        let written = self.to.write_all(text.as_bytes());
        written
            .and_then(|()| self.to.flush())
            .with_context(|| match &settings.out {
                Some(file) => format!("cannot write {}", file.display()),
                None => "cannot write to stdout".to_owned(),
            })
    }

    /// The exit status after all that was printed, where nothing else went wrong.
    pub(super) fn code(&self) -> ExitCode {
        match self.settings.exit_code && self.found {
            true => ExitCode::from(FINDING),
            false => ExitCode::SUCCESS,
        }
    }
}
