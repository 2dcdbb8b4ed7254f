//! Whole reports from inputs made by hand. Golden files show what people see; the numbers are asserted
//! beside them by arithmetic on the inputs.

mod accusation;
mod besides;
mod compatibility;
mod context;
mod counters;
mod degraded;
pub(crate) mod fixture;
pub(crate) mod golden;
mod holdings;
pub(crate) mod hostile;
pub(crate) mod incident;
mod kinds;
mod node;
mod others;
mod redact;
mod schema;
mod series;
mod view;
