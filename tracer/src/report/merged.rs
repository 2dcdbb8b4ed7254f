//! Reports of many nodes, joined.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Confidence, Kind, StallBucket, StallPercentiles};

/// Name and version of the document.
pub const SCHEMA: &str = "tcpress.merge/v1";

/// Reports of many nodes, joined. Counts are sums over all of them; what a report did not know is in no sum, and is told in `gaps`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Merged {
    /// Always `tcpress.merge/v1`.
    pub schema: String,
    /// Version of tcpress that joined them.
    pub tcpress: String,
    /// Reports that were joined.
    pub reports: u64,
    /// Nodes on which something is wrong, on which nothing is, and of which too little is known.
    pub affected: u64,
    /// Nodes on which nothing is wrong.
    pub healthy: u64,
    /// Nodes of which too little is known to say.
    pub inconclusive: u64,
    /// Segments that were refused.
    pub refusals: u64,
    /// Calls of the prune path.
    pub prunes: u64,
    /// TCP memory that owners were found to hold.
    pub held_bytes: u64,
    /// When the first window began and the last one ended.
    pub window: Option<Span>,
    /// How long single prunes kept the CPU, over all nodes; null when there were none.
    pub stall_percentiles: Option<StallPercentiles>,
    /// From how many prunes that is, by time.
    pub stall_buckets: Vec<StallBucket>,
    /// A line for each report, the worst first.
    pub nodes: Vec<MergedNode>,
    /// Who suffered, most refusals first; a pod that was seen on several nodes stands there once.
    pub victims: Vec<MergedOwner>,
    /// Who was accused, most bytes first; a pod that was seen on several nodes stands there once.
    pub culprits: Vec<MergedOwner>,
    /// What affected nodes have in common, most telling first.
    pub shared: Vec<Shared>,
    /// In words: what could not be joined.
    pub gaps: Vec<String>,
}

/// A time from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// When the first window began.
    pub start: Timestamp,
    /// When the last one ended.
    pub end: Timestamp,
}

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MergedNode {
    /// Name of the node: that of Kubernetes, else the host's.
    pub node: String,
    /// The file that it came from.
    pub file: String,
    /// Release of its kernel.
    pub kernel: String,
    /// What is the matter.
    pub kind: Kind,
    /// How sure that is.
    pub confidence: Confidence,
    /// All of it in one line.
    pub headline: String,
    /// TCP memory allocated over its limit.
    pub fill: Option<f64>,
    /// Time until it is full at the growth that was measured, in milliseconds, 0 where it is; null where it does not grow, or where
    /// that is not known.
    pub full_in_ms: Option<u64>,
    /// Segments that were refused.
    pub refusals: u64,
    /// Who is accused first; null where nobody is.
    pub culprit: Option<String>,
    /// Whom to call for that.
    pub contact: Option<String>,
    /// When its window began.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
    /// How far the middle of its window is from that of the median node, in milliseconds. Far more than windows last, it was watched at
    /// another time, or its clock is wrong.
    pub offset_ms: i64,
    /// Whether its window overlaps that of the median node.
    pub overlaps: bool,
}

/// Somebody on one node or on several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MergedOwner {
    /// The name to show.
    pub name: String,
    /// Name of what it belongs to, where that is known.
    #[serde(rename = "k8s.workload")]
    pub k8s_workload: Option<String>,
    /// Whom to call.
    pub contact: Option<String>,
    /// Nodes where it was seen.
    pub nodes: Vec<String>,
    /// Segments of it that were refused.
    pub refusals: u64,
    /// TCP memory that it holds.
    pub held_bytes: u64,
    /// In how many sockets.
    pub sockets: u64,
}

/// Something that affected nodes have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Shared {
    /// What: `kernel`, `limit`, `culprit workload`, `culprit image`, `tcpress`, or the key of a node's label.
    pub what: String,
    /// Its value.
    pub value: String,
    /// Affected nodes that have it.
    pub affected: u64,
    /// Other nodes that have it.
    pub others: u64,
}
