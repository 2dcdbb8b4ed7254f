//! The shapes in which a report can be had, each a rendering of the model alone.

use clap::ValueEnum;

use super::{json, table};
use crate::report::Report;

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Words and columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

/// A report in the shape that is asked for, with a line break at its end.
///
/// # Errors
/// When a value cannot be written as JSON; the model's can.
pub fn render(report: &Report, format: Format) -> serde_json::Result<String> {
    match format {
        Format::Table => Ok(table::report(report)),
        Format::Json => json::pretty(report),
    }
}
