//! A report for a ticket, a wiki or a chat: GitHub Flavored Markdown, as GitHub and GitLab render it and as the editor of Jira Cloud
//! takes it when it is pasted (which has no folding: the raw document then stands open at the end). Verdict first.
//!
//! It is small enough for each of them:
//! - Jira takes 32,767 characters in a description or comment unless its administrator changed `jira.text.field.character.limit`
//!   (Atlassian's "Advanced Jira application configuration"; the REST API's `CustomFieldContextDefaultValueTextArea` has the same number);
//! - GitHub takes 65,536 in the body of an issue or comment ("body is too long (maximum is 65536 characters)");
//! - GitLab takes 1 MB ("Size of comments and descriptions" of its instance limits).
//!
//! Jira's is the least, and Java counts in units of UTF-16. What does not fit is left out as a whole, and named.

mod escape;
mod page;
mod raw;
mod sections;
#[cfg(test)]
pub(crate) mod tests;

use page::Page;

use crate::report::Report;

/// Most units of UTF-16 in one document.
pub const LIMIT: usize = 32_767;

/// The whole report.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut page = Page::new(LIMIT);
    page.section("verdict", sections::verdict(report));
    page.section("facts", sections::facts(report));
    page.section("recovery", sections::recovery(report));
    page.section("what to do", sections::advice(report));
    page.section("victims", sections::victims(report));
    page.section("culprits", sections::culprits(report));
    page.section("holders", sections::holders(report));
    page.section("evidence", sections::evidence(report));
    page.section("what it is not", sections::ruled_out(report));
    page.section("check by hand", sections::checks(report));
    page.section("memory cgroups", sections::memcgs(report));
    page.section("timeline", sections::timeline(report));
    page.section("reconciliation", sections::reconciliation(report));
    page.section("losses", sections::losses(report));
    page.section("plan", sections::plan(report));
    raw::fold(&mut page, report);
    page.done()
}
