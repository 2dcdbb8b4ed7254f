//! What a kernel program could not keep: cells of the `LOST` array. Each only grows.

/// Evidence that found the ring buffer full.
pub const RING_FULL: u32 = 0;
/// Births of cgroups that found their ring buffer full.
pub const CGROUP_RING_FULL: u32 = 1;
/// Counts whose owner found no room in the tallies: they stand in the overflow bucket of their netns.
pub const TALLIES_FULL: u32 = 2;
/// Counts whose network namespace found no room in the overflow map either: they stand in the last bucket.
pub const OVERFLOW_FULL: u32 = 3;
/// Failing calls that found no room for a frame: their counts are lost.
pub const FRAMES_FULL: u32 = 4;
/// Refusals that found no room to wait for their verdict: their counts are lost.
pub const PENDING_FULL: u32 = 5;
/// Sockets that found no room for their state: their share of a tally is not known per socket.
pub const SOCKETS_FULL: u32 = 6;
/// Prunes and collapses seen outside any frame, which the rules say cannot be.
pub const NO_FRAME: u32 = 7;
/// Rises of a kernel counter that found no room for its mark: they are not attributed.
pub const MARKS_FULL: u32 = 8;
/// Calls whose beginning and end did not pair up (kprobes only): their counts are lost.
pub const UNPAIRED: u32 = 9;
/// Changes of the node's state that found the ring buffer of the timeline full.
pub const TIMELINE_FULL: u32 = 10;
/// How many cells there are.
pub const COUNT: u32 = 11;

/// Names of the cells, as reports spell them.
pub const NAMES: [&str; COUNT as usize] = [
    "ring_full",
    "cgroup_ring_full",
    "tallies_full",
    "overflow_full",
    "frames_full",
    "pending_full",
    "sockets_full",
    "no_frame",
    "marks_full",
    "unpaired",
    "timeline_full",
];
