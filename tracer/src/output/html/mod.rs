//! A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere. Its Content-Security-Policy (level 3
//! of the W3C) allows the one style sheet in it, by its hash, and nothing besides, so that even a mistake of ours could load or run
//! nothing. It follows the reader's choice of light or dark, and can be printed.

mod chart;
mod escape;
mod sections;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::digest;

use self::{
    chart::{course, holders, stalls},
    escape::plain,
};
use crate::report::{Kind, Report};

/// The style sheet.
const STYLE: &str = include_str!("style.css");

/// The whole page.
#[must_use]
pub fn report(report: &Report) -> String {
    let node = &report.node;
    let node = plain(
        node.k8s_node_name.as_deref().unwrap_or(&node.host_name),
        120,
    );
    let class = match report.verdict.kind {
        Kind::Healthy => "healthy",
        _ => "finding",
    };
    let body = [
        sections::verdict(report),
        sections::advice(report),
        sections::recovery(report),
        sections::victims(report),
        sections::culprits(report),
        course::figure(report),
        sections::timeline(report),
        holders::figure(report),
        stalls::figure(report),
        sections::evidence(report),
        sections::ruled_out(report),
        sections::checks(report),
        sections::memcgs(report),
        sections::reconciliation(report),
        sections::losses(report),
        sections::plan(report),
        sections::samples(report),
        sections::raw(report),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>TCP memory of {node}</title>\n<style>{STYLE}</style>\n</head>\n<body class=\"{class}\">\n\
         <h1>TCP memory of <bdi>{node}</bdi>: {}</h1>\n<main>\n{body}</main>\n</body>\n</html>\n",
        policy(),
        report.verdict.kind.name(),
    )
}

/// What the page may do.
fn policy() -> String {
    let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        BASE64_STANDARD.encode(hash)
    )
}
