//! What threads were found to do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a thread was found to do.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// On a CPU, or in a run queue.
    Running,
    /// For data, a connection or any of many events: it would read.
    Receive,
    /// For room to send: its peer does not read.
    Send,
    /// For a lock that another thread holds.
    Lock,
    /// In a futex that may be a lock or a condition.
    Futex,
    /// For a lock of the kernel.
    KernelLock,
    /// For a disk.
    Disk,
    /// For memory.
    Memory,
    /// For time, a signal or a child: nothing that would make it read.
    Sleep,
    /// For the end of another thread.
    Join,
    /// Stopped by a signal, a debugger or the freezer of cgroups.
    Stopped,
    /// Something else.
    #[default]
    #[serde(other)]
    Other,
}

/// What the threads of the processes that hold an owner's sockets did each time they were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Threads {
    /// Processes that were looked at.
    pub processes: u64,
    /// Threads that were looked at.
    pub threads: u64,
    /// Times that they were looked at.
    pub rounds: u64,
    /// Looks at one thread, all rounds together.
    pub samples: u64,
    /// What they did, most samples first.
    pub waits: Vec<ThreadWait>,
}

impl Threads {
    /// Samples of one kind.
    #[must_use]
    pub fn samples_of(&self, kind: Wait) -> u64 {
        self.sum(kind, |wait| wait.samples)
    }

    /// Threads that did one kind of thing at least half of the time.
    #[must_use]
    pub fn mostly(&self, kind: Wait) -> u64 {
        self.sum(kind, |wait| wait.threads)
    }

    fn sum(&self, kind: Wait, of: impl Fn(&ThreadWait) -> u64) -> u64 {
        let of_kind = self.waits.iter().filter(|wait| wait.kind == kind);
        of_kind.map(of).fold(0, u64::saturating_add)
    }
}

/// One thing that threads did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ThreadWait {
    /// What.
    pub kind: Wait,
    /// Where: the kernel's function; null where it was not told, as for a thread that runs.
    pub wait_channel: Option<String>,
    /// In how many samples.
    pub samples: u64,
    /// Threads that did a thing of this kind at least half of the times that they were looked at, and mostly here.
    pub threads: u64,
}
