//! When and where a report was measured.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time that counts cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// When the baseline was taken.
    pub start: Timestamp,
    /// When the last reading was taken.
    pub end: Timestamp,
    /// Length by the monotonic clock, in nanoseconds; 0 for a snapshot, which counts nothing.
    pub duration_ns: u64,
}

/// Where it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Node {
    /// Name of the Kubernetes node, where one was given.
    #[serde(rename = "k8s.node.name")]
    pub k8s_node_name: Option<String>,
    /// Host name.
    #[serde(rename = "host.name")]
    pub host_name: String,
    /// Labels of the node, as far as they were given: its pool, its zone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Which run of the machine it was (`/proc/sys/kernel/random/boot_id`); absent where that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// Release of the running kernel.
    pub kernel: String,
    /// Machine architecture as the kernel names it.
    pub arch: String,
    /// Size of a page, in bytes.
    pub page_size_bytes: u64,
    /// CPUs online.
    pub cpus: u32,
    /// Memory that programs could still get, as the kernel reckons it (`MemAvailable`).
    pub memory_available_bytes: Option<u64>,
}
