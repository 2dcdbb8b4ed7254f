//! What can be read without kernel programs, at one time.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use super::Clocks;
use crate::{
    holders::{self, Detail, Progress, Scan},
    indicators::{
        TcpMemory, memcg, memory,
        netns::Netns,
        readings::{self, NetnsReading, Readings},
        rows::{KernelCounts, Snapshot},
    },
    report::Node,
};

/// Counters, memory and holders at one time.
#[derive(Clone, Debug)]
pub struct Survey {
    /// When it was begun.
    pub at: Clocks,
    /// TCP memory of the node.
    pub memory: TcpMemory,
    /// The kernel's counters, by network namespace.
    pub counts: Arc<Snapshot>,
    /// TCP sockets.
    pub scan: Arc<Scan>,
    /// The network namespaces, each with its cookie where that is known.
    pub namespaces: Vec<(Netns, Option<u64>)>,
    /// Events of memory cgroups, where the caller has read them.
    pub memcgs: Option<memcg::Readings>,
    /// In words: what could not be read.
    pub gaps: Vec<String>,
}

/// Reads it all, sockets in as much detail as is wanted, with words on how far it is where that takes long.
#[must_use]
pub fn survey(proc: &Path, detail: Detail<'_>, progress: &Progress<'_>) -> Survey {
    let at = Clocks::now();
    let Readings { readings, mut gaps } = readings::read_all(proc);
    let namespaces: Vec<_> = readings
        .iter()
        .map(|reading| reading.netns.clone())
        .collect();
    let scan = holders::scan_namespaces(proc, &namespaces, detail, progress);
    let cookies = readings.iter().map(|reading| reading.cookie);
    let namespaces = namespaces.into_iter().zip(cookies).collect();
    gaps.extend(scan.gaps.iter().cloned());
    Survey {
        at,
        memory: memory::read(proc),
        counts: Arc::new(snapshot(readings)),
        scan: Arc::new(scan),
        namespaces,
        memcgs: None,
        gaps,
    }
}

/// Readings by number of the namespace.
#[must_use]
pub(super) fn snapshot(readings: Vec<NetnsReading>) -> Snapshot {
    readings
        .into_iter()
        .map(
            |NetnsReading {
                 netns,
                 cookie,
                 netstat,
             }| {
                (
                    netns.inum,
                    KernelCounts {
                        cookie,
                        netstat,
                        bounds: Default::default(),
                    },
                )
            },
        )
        .collect()
}

/// The node that this process runs on.
#[must_use]
pub fn node(proc: &Path, page_size: u64) -> Node {
    let kernel = |name: &str| {
        fs::read_to_string(proc.join("sys/kernel").join(name))
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    Node {
        k8s_node_name: std::env::var("NODE_NAME")
            .ok()
            .filter(|name| !name.is_empty()),
        labels: BTreeMap::new(),
        host_name: kernel("hostname"),
        boot_id: Some(kernel("random/boot_id")).filter(|id| !id.is_empty()),
        kernel: kernel("osrelease"),
        arch: std::env::consts::ARCH.to_owned(),
        page_size_bytes: page_size,
        cpus: std::thread::available_parallelism().map_or(0, |cpus| cpus.get() as u32),
        memory_available_bytes: fs::read_to_string(proc.join("meminfo"))
            .ok()
            .and_then(|text| memory::available(&text)),
    }
}
