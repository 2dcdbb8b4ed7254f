//! The shapes in which a report can be had, each a rendering of the model alone.

use clap::ValueEnum;

use super::{Style, html, json, markdown, table, ticket};
use crate::report::Report;

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Words and columns for people.
    #[default]
    Table,
    /// The same with more columns and sockets, on lines longer than 100 characters.
    Wide,
    /// One JSON document.
    Json,
    /// One JSON document on one line.
    Ndjson,
    /// Markdown for a ticket, a wiki or a chat: GitHub, GitLab, Jira's editor.
    Markdown,
    /// One page for a browser, with charts; it needs nothing else.
    Html,
    /// Alerts for Prometheus' Alertmanager (`POST /api/v2/alerts`).
    Alertmanager,
    /// An event for PagerDuty (Events API v2), without its routing key.
    Pagerduty,
    /// An issue for Jira Cloud (`POST /rest/api/3/issue`), without its project.
    Jira,
}

impl Format {
    /// What a rendering is, as HTTP names it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table | Self::Wide => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Json | Self::Alertmanager | Self::Pagerduty | Self::Jira => "application/json",
        }
    }
}

/// A report in the shape that is asked for, with a line break at its end.
///
/// # Errors
/// When a value cannot be written as JSON; the model's can.
pub fn render(report: &Report, format: Format) -> serde_json::Result<String> {
    render_in(report, format, Style::default())
}

/// The same, tables in a style of their own.
///
/// # Errors
/// As [`render`].
pub fn render_in(report: &Report, format: Format, style: Style) -> serde_json::Result<String> {
    match format {
        Format::Table => Ok(table::styled(report, style)),
        Format::Wide => Ok(table::styled(
            report,
            Style {
                wide: true,
                ..style
            },
        )),
        Format::Json => json::pretty(report),
        Format::Markdown => Ok(markdown::report(report)),
        Format::Ndjson => json::line(report),
        Format::Html => Ok(html::report(report)),
        Format::Alertmanager => ticket::alertmanager::alerts(report),
        Format::Pagerduty => ticket::pagerduty::event(report),
        Format::Jira => ticket::jira::issue(report),
    }
}
