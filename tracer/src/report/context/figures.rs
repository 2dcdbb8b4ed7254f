//! Figures of the five states. Times are nanoseconds, sizes bytes; a share is a part of the window, 0 to 1. What could not be
//! read is null, never 0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pressure stall information (`Documentation/accounting/psi.rst`): how much of the window tasks were kept from working.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Psi {
    /// Part of the window in which at least one task was kept; null where there was only one reading.
    pub some_share: Option<f64>,
    /// Part in which all tasks that had something to do were kept; null as above, and where the kernel does not tell.
    pub full_share: Option<f64>,
    /// The kernel's own average of the last ten seconds of `some`.
    pub some_avg10_share: Option<f64>,
}

impl Psi {
    /// The share to judge by: that of the window, else the kernel's average.
    #[must_use]
    pub fn some(&self) -> Option<f64> {
        self.some_share.or(self.some_avg10_share)
    }
}

/// Waiting for disks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Io {
    /// Of the owner's cgroup; null where the kernel has none for it.
    pub psi: Option<Psi>,
    /// Of the node.
    pub node_psi: Option<Psi>,
    /// Bytes read from devices.
    pub read_bytes: Option<u64>,
    /// Bytes written to devices.
    pub written_bytes: Option<u64>,
    /// Reads and writes together.
    pub operations: Option<u64>,
    /// Times that a thread was found in uninterruptible sleep for anything but memory or a lock of the kernel.
    pub blocked_samples: Option<u64>,
    /// Time that its threads waited for block devices; null where the kernel does not account it
    /// (`kernel.task_delayacct`).
    pub block_delay_ns: Option<u64>,
}

/// Waiting for CPU time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Cpu {
    /// CPU time used by the owner's cgroup.
    pub usage_ns: Option<u64>,
    /// The same as a number of CPUs.
    pub usage_cpus: Option<f64>,
    /// The tightest `cpu.max` at or above its cgroups, as a number of CPUs; null when there is none.
    pub quota_cpus: Option<f64>,
    /// The cgroup with the most throttled periods, at or above its own.
    pub throttled_cgroup: Option<String>,
    /// Enforcement periods there.
    pub periods: Option<u64>,
    /// Of these, periods in which its quota ran out.
    pub throttled_periods: Option<u64>,
    /// Time for which it was throttled, summed over CPUs.
    pub throttled_ns: Option<u64>,
    /// Of the owner's cgroup; null where the kernel has none for it.
    pub psi: Option<Psi>,
    /// Of the node.
    pub node_psi: Option<Psi>,
    /// CPU time of the threads of its reading processes.
    pub run_ns: Option<u64>,
    /// Time that these threads stood in a run queue.
    pub run_delay_ns: Option<u64>,
    /// Part of the window that the busiest of them ran.
    pub busiest_thread_share: Option<f64>,
    /// Part of the window that the most delayed of them stood in a run queue.
    pub delayed_thread_share: Option<f64>,
}

/// Waiting for another thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Locks {
    /// Threads that waited for one and the same lock nearly every time they were looked at.
    pub stuck_threads: Option<u64>,
    /// Times that a thread was found to wait for a lock: a contended mutex, a lock of a file, a semaphore, a lock of the kernel.
    pub lock_samples: Option<u64>,
    /// Times that a thread was found in a futex that may as well be a condition it waits for.
    pub futex_samples: Option<u64>,
    /// Where most of these samples were: the kernel's function.
    pub wait_channel: Option<String>,
    /// Threads that were found there.
    pub wait_channel_threads: Option<u64>,
}

/// Waiting for user-space memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Memory {
    /// The cgroup with the least room, at or above the owner's.
    pub cgroup: Option<String>,
    /// What is charged to it.
    pub usage_bytes: Option<u64>,
    /// Its hard limit; null when it has none.
    pub max_bytes: Option<u64>,
    /// Its `memory.high`, above which tasks are slowed down; null when it has none.
    pub high_bytes: Option<u64>,
    /// Charges over `memory.high`, in it and below.
    pub high_events: Option<u64>,
    /// Charges that met the hard limit.
    pub max_events: Option<u64>,
    /// Times that nothing could be reclaimed.
    pub oom_events: Option<u64>,
    /// Processes killed for it.
    pub oom_kills: Option<u64>,
    /// Of the owner's cgroup; null where the kernel has none for it.
    pub psi: Option<Psi>,
    /// Of the node.
    pub node_psi: Option<Psi>,
    /// Pages looked at to be reclaimed.
    pub scanned_pages: Option<u64>,
    /// Pages reclaimed.
    pub reclaimed_pages: Option<u64>,
    /// Pages that were reclaimed and soon needed again.
    pub refaulted_pages: Option<u64>,
    /// Page faults that needed a disk.
    pub major_faults: Option<u64>,
    /// Times that a thread was found waiting for memory.
    pub reclaim_samples: Option<u64>,
}

/// Loss on the wire, and waiting for a peer. Counts are those of the owner's network namespaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Network {
    /// Segments received.
    pub in_segments: Option<u64>,
    /// Segments sent, without pure retransmits.
    pub out_segments: Option<u64>,
    /// Segments sent again, without those that open a connection.
    pub retransmitted: Option<u64>,
    /// `retransmitted` over `out_segments`; null of nothing.
    pub retransmit_share: Option<f64>,
    /// Retransmission timers that ran out.
    pub timeouts: Option<u64>,
    /// Retransmits that were lost as well.
    pub lost_retransmits: Option<u64>,
    /// Segments sent again at the peer's hint.
    pub fast_retransmits: Option<u64>,
    /// Segments that arrived out of order.
    pub out_of_order: Option<u64>,
    /// `out_of_order` over `in_segments`; null of nothing.
    pub out_of_order_share: Option<f64>,
    /// Segments in order that were refused in these namespaces: all that came after them is out of order for that.
    pub refused_in_order: Option<u64>,
    /// Segments refused on this node, of whatever namespace: their senders send them again.
    pub refused_on_node: Option<u64>,
    /// Whether others share these namespaces, so that their segments are counted as well.
    pub shared: Option<bool>,
    /// Times that a thread was found waiting for data or connections.
    pub receiving_samples: Option<u64>,
    /// Times that a thread was found waiting for room to send.
    pub sending_samples: Option<u64>,
    /// Its worst sockets, a few.
    pub sockets: Vec<NetworkSocket>,
}

/// What `tcp_info` tells of one socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NetworkSocket {
    /// Local address and port.
    pub local: String,
    /// Remote address and port.
    pub remote: String,
    /// Smoothed round-trip time; null before the first measurement.
    pub rtt_ns: Option<u64>,
    /// Shortest round-trip time seen.
    pub min_rtt_ns: Option<u64>,
    /// Segments sent again since the connection began.
    pub retransmitted: Option<u64>,
    /// Segments received out of order since the connection began.
    pub out_of_order: Option<u64>,
    /// Time since data last arrived.
    pub last_data_ns: Option<u64>,
    /// Payload that nobody has read.
    pub unread_bytes: u64,
}
