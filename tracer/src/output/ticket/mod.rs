//! Alerts and tickets: a report in the shape of the systems that on-call people live in, each by that system's published
//! document. They have little room, so they carry the finding and how far it can be trusted, and leave the figures to the
//! report itself.

mod adf;
pub mod alertmanager;
mod gist;
pub mod jira;
pub mod pagerduty;
#[cfg(test)]
pub(crate) mod validate;

use crate::report::incident::{Incident, Severity};
