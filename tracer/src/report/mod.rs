//! The public model: the only thing that is serialised. Within `tcpress.report/v1` it only grows: a
//! reader of an older document finds absent fields empty. It owns no rule ([`crate::diagnose`] does) and
//! no shape on screen ([`crate::output`] does).

pub mod attribution;
pub mod build;
pub mod checkup;
pub mod context;
pub mod evidence;
pub mod holder;
pub mod incident;
pub mod inputs;
mod labels;
pub mod losses;
pub mod memcg;
pub mod memory;
pub mod merged;
pub mod node;
pub mod owner;
pub mod plan;
pub mod reconciliation;
pub mod recovery;
pub mod redact;
pub mod schema;
pub mod selfcheck;
pub mod series;
pub mod source;
mod state;
pub mod timeline;
pub mod verdict;
pub mod victim;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attribution::Attribution;
pub use build::build;
pub use checkup::Checkup;
pub use context::Context;
pub use evidence::Evidence;
pub use holder::{Culprit, Holder, StateSum, TopSocket};
pub use incident::{Incident, IncidentState};
pub use inputs::Inputs;
pub use losses::Losses;
pub use memcg::MemcgPressure;
pub use memory::{Explained, TcpMemBytes, TcpMemory};
pub use node::{CLOCK_SET, Node, Window, clock_set_words};
pub use owner::{Owner, OwnerKind};
pub use plan::Plan;
pub use reconciliation::{AtRest, Reconciliation};
pub use recovery::Recovery;
pub use redact::Redactor;
pub use selfcheck::Selfcheck;
pub use series::Series;
pub use state::state_name;
pub use timeline::Moment;
pub use verdict::{Advice, Basis, Check, Confidence, Detail, Kind, Leak, Limit, RuledOut, Verdict};
pub use victim::{
    LOSSES_BESIDES, Refusals, RefusalsByDetail, RefusalsByLimit, StallBucket, StallPercentiles,
    Uncounted, Victim, VictimSocket,
};

pub use view::{Narrowed, View};

/// Name and version of the document.
pub const SCHEMA: &str = "tcpress.report/v1";

/// One report: who fills the TCP memory of a node, who suffers, and which limit refused. Ids are decimal
/// strings, counts are numbers, sizes are bytes; what could not be read is null, never 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Always `tcpress.report/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Version of tcpress that wrote it.
    pub tcpress: String,
    /// The time that counts cover.
    pub window: Window,
    /// Where it was measured.
    pub node: Node,
    /// What this kernel let us see.
    #[serde(default)]
    pub plan: Plan,
    /// The finding.
    pub verdict: Verdict,
    /// The incident that it is about, where that cannot be told from the rest; else null, and one is known by node, kind and culprit.
    #[serde(default)]
    pub incident: Option<IncidentState>,
    /// What has recovered since an earlier report; null where none was given.
    #[serde(default)]
    pub recovery: Option<Recovery>,
    /// What was left out because less was asked for; null where nothing was.
    #[serde(default)]
    pub narrowed: Option<Narrowed>,
    /// TCP memory of the node.
    #[serde(default)]
    pub tcp_memory: TcpMemory,
    /// How much of it all has an owner.
    #[serde(default)]
    pub attribution: Attribution,
    /// Who suffered, worst first.
    #[serde(default)]
    pub victims: Vec<Victim>,
    /// Who explains the limit that refused, by held bytes; empty when nobody is accused.
    #[serde(default)]
    pub culprits: Vec<Culprit>,
    /// Who holds TCP memory, by held bytes: a fact, not an accusation.
    #[serde(default)]
    pub holders: Vec<Holder>,
    /// Memory cgroups under pressure, most charges over their limit first; null where that cannot be read.
    #[serde(default)]
    pub memcg_pressure: Option<Vec<MemcgPressure>>,
    /// When the state of the node changed, and at whose hand; null when nothing was traced.
    #[serde(default)]
    pub timeline: Option<Vec<Moment>>,
    /// Refusals of each owner against fill, step by step; null when nothing was traced.
    #[serde(default)]
    pub series: Option<Series>,
    /// Our counts against the kernel's: one row per network namespace and counter.
    #[serde(default)]
    pub reconciliation: Vec<Reconciliation>,
    /// How many more rows there were at most in one minute of a recording, which lists those in which something moved; absent where
    /// all rows are listed.
    #[serde(default, skip_serializing_if = "AtRest::is_empty")]
    pub at_rest: AtRest,
    /// Single calls against the kernel's own counters; null unless asked for.
    #[serde(default)]
    pub selfcheck: Option<Selfcheck>,
    /// What was lost, and what could not be seen.
    #[serde(default)]
    pub losses: Losses,
    /// Sampled failures with the numbers of their instant; a sample, never a count.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}
