//! When and where a report was measured.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::size;

/// Clocks that differ by less have not been set: they are read one after the other.
pub const CLOCK_SET: SignedDuration = SignedDuration::from_secs(1);

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

impl Window {
    /// By how much the wall clock was set while the window was open; zero where it was not. Of a window that was measured in one piece:
    /// time between several is in their length as well.
    #[must_use]
    pub fn clock_set(&self) -> SignedDuration {
        let went_by = i64::try_from(self.duration_ns).unwrap_or(i64::MAX);
        let wall = self.end.duration_since(self.start);
        let set = wall.saturating_sub(SignedDuration::from_nanos(went_by));
        match set.abs() < CLOCK_SET {
            true => SignedDuration::ZERO,
            false => set,
        }
    }

    /// The same in words, where it was set.
    #[must_use]
    pub fn clock_set_words(&self) -> Option<String> {
        clock_set_words(self.clock_set(), self.start, self.end)
    }
}

/// In words that the wall clock was set by so much between two times of it; `None` where that is too little to say so.
#[must_use]
pub fn clock_set_words(set: SignedDuration, from: Timestamp, until: Timestamp) -> Option<String> {
    let way = if set.is_negative() { "back" } else { "forward" };
    let by = u64::try_from(set.abs().as_nanos()).unwrap_or(u64::MAX);
    (set.abs() >= CLOCK_SET).then(|| {
        let by = size::nanos(by);
        format!("the clock was set {way} by {by} between {from} and {until}")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_what_the_wall_clock_went_on_too_much_or_too_little() {
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        // (the wall clock went on by, the monotonic one by, both in milliseconds; words)
        for (wall, monotonic, words) in [
            (10_000, 10_000, None),
            (10_999, 10_000, None),
            (9_001, 10_000, None),
            (0, 0, None),
            (
                11_500,
                10_000,
                Some(
                    "the clock was set forward by 1.5 s between 2023-11-14T22:13:20Z and 2023-11-14T22:13:31.5Z",
                ),
            ),
            (
                -50_000,
                10_000,
                Some(
                    "the clock was set back by 60.0 s between 2023-11-14T22:13:20Z and 2023-11-14T22:12:30Z",
                ),
            ),
        ] {
            let window = Window {
                start,
                end: start + SignedDuration::from_millis(wall),
                duration_ns: monotonic * 1_000_000,
            };
            assert_eq!(
                window.clock_set_words().as_deref(),
                words,
                "{wall} {monotonic}"
            );
        }
        // A length that no clock reaches is no reason to fail.
        let window = Window {
            start: Timestamp::MAX,
            end: Timestamp::MIN,
            duration_ns: u64::MAX,
        };
        assert!(window.clock_set().is_negative());
    }
}
