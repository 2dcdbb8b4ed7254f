//! Metrics for Prometheus: [`catalogue`] says which there are, [`Page`] makes series of the ledger's figures, and [`render`] writes them in
//! either format that Prometheus reads. Pure. [docs/metrics.md](../../../../../docs/metrics.md) is made from the catalogue.
//!
//! ```
//! use std::time::Duration;
//!
//! use tracer::agent::{
//!     ledger::{AgentFigures, Ledger, NodeFigures},
//!     metrics::{Format, Page, render},
//! };
//!
//! let ledger = Ledger::new(10_000, Duration::from_secs(900));
//! let page = Page::of(&ledger.figures(NodeFigures::default(), AgentFigures::default()));
//! assert!(render(page, Format::OpenMetrics).ends_with("# EOF\n"));
//! ```

pub mod catalogue;
mod format;
mod of_agent;
mod of_node;
mod of_owner;
mod of_probes;
mod page;
#[cfg(test)]
mod tests;

pub use format::Format;
pub use page::{Family, Label, Page, Sample, Value, render};
