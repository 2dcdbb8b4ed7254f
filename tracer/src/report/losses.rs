//! What was lost, and what could not be seen.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tracer_common::lost;

/// What could not be kept within the window. All numbers are null when nothing was traced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Losses {
    /// Evidence that found the ring buffer full. Counts are not touched.
    pub ring_full: Option<u64>,
    /// Births of cgroups that found their ring buffer full: names may be missing.
    pub cgroup_ring_full: Option<u64>,
    /// Counts whose owner found no room: they stand under `unattributed`.
    pub tallies_full: Option<u64>,
    /// Counts whose network namespace found no room either.
    pub overflow_full: Option<u64>,
    /// Failing calls whose counts are lost.
    pub frames_full: Option<u64>,
    /// Refusals whose counts are lost.
    pub pending_full: Option<u64>,
    /// Sockets whose share of a tally is not known.
    pub sockets_full: Option<u64>,
    /// Prunes and collapses that belonged to no failing call.
    pub no_frame: Option<u64>,
    /// Evidence held back because the same owner had just sent some of the same kind. Counts are not touched.
    pub suppressed_evidence: Option<u64>,
    /// Programs of which the kernel skipped runs, because they were running on that CPU already; null
    /// where the kernel does not tell. Most hooks have two copies of their program, so that the other one
    /// sees what one misses. The first versions wrote one number, of all programs together: it is read as a
    /// program `all`.
    #[serde(deserialize_with = "misses")]
    #[schemars(with = "Option<Misses>")]
    pub recursion_misses: Option<Vec<ProgramMisses>>,
    /// Most events that may be missing from a count for that reason; null where the kernel does not tell.
    pub possible_misses: Option<u64>,
    /// Rises of a counter of the kernel that found no room for a mark: they are not attributed.
    pub marks_full: Option<u64>,
    /// Calls whose beginning and end did not pair up, as kprobes see them: their counts are lost.
    pub unpaired: Option<u64>,
    /// Changes of the node's state that found the ring buffer of the timeline full.
    pub timeline_full: Option<u64>,
    /// Refusals that were counted but whose owner was lost.
    pub unattributed: Option<u64>,
    /// What could not be read or shown, in words.
    pub gaps: Vec<String>,
}

/// A program of which runs were skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProgramMisses {
    /// Its name in the kernel object.
    pub program: String,
    /// Runs that were skipped within the window.
    pub misses: u64,
}

/// Name of the one program that stands for all.
const ALL_PROGRAMS: &str = "all";

/// What stands under `recursion_misses`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Misses {
    /// By program.
    ByProgram(Vec<ProgramMisses>),
    /// All programs together, as the first versions wrote it.
    Sum(u64),
}

fn misses<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<ProgramMisses>>, D::Error> {
    Ok(
        Option::<Misses>::deserialize(from)?.map(|misses| match misses {
            Misses::ByProgram(programs) => programs,
            Misses::Sum(0) => Vec::new(),
            Misses::Sum(misses) => vec![ProgramMisses {
                program: ALL_PROGRAMS.to_owned(),
                misses,
            }],
        }),
    )
}

impl Losses {
    /// Takes over the cells of the kernel programs, in the order of [`lost::NAMES`].
    pub fn set_cells(&mut self, cells: &[u64; lost::COUNT as usize]) {
        let cell = |index: u32| cells.get(index as usize).copied();
        self.ring_full = cell(lost::RING_FULL);
        self.cgroup_ring_full = cell(lost::CGROUP_RING_FULL);
        self.tallies_full = cell(lost::TALLIES_FULL);
        self.overflow_full = cell(lost::OVERFLOW_FULL);
        self.frames_full = cell(lost::FRAMES_FULL);
        self.pending_full = cell(lost::PENDING_FULL);
        self.sockets_full = cell(lost::SOCKETS_FULL);
        self.no_frame = cell(lost::NO_FRAME);
        self.marks_full = cell(lost::MARKS_FULL);
        self.unpaired = cell(lost::UNPAIRED);
        self.timeline_full = cell(lost::TIMELINE_FULL);
    }

    /// Every number with its name in documents.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, Option<u64>); 14] {
        [
            ("ring_full", self.ring_full),
            ("cgroup_ring_full", self.cgroup_ring_full),
            ("tallies_full", self.tallies_full),
            ("overflow_full", self.overflow_full),
            ("frames_full", self.frames_full),
            ("pending_full", self.pending_full),
            ("sockets_full", self.sockets_full),
            ("no_frame", self.no_frame),
            ("suppressed_evidence", self.suppressed_evidence),
            ("possible_misses", self.possible_misses),
            ("marks_full", self.marks_full),
            ("unpaired", self.unpaired),
            ("timeline_full", self.timeline_full),
            ("unattributed", self.unattributed),
        ]
    }
}
