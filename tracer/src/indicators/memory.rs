//! TCP memory of the node.

/// Node-wide TCP memory. It is one account for all network namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpMemory {
    /// Size of a page in bytes.
    pub page_size: u64,
    /// `net.ipv4.tcp_mem`: low, pressure and high mark, in pages.
    pub tcp_mem: Option<[u64; 3]>,
    /// `mem` of `/proc/net/sockstat`, in pages. Per-CPU reserves make it lag: it may even read 0.
    pub sockstat_pages: Option<u64>,
    /// TCP sockets allocated node-wide.
    pub alloc: Option<u64>,
    /// Orphans node-wide.
    pub orphan: Option<u64>,
    /// Whether `/proc/net/protocols` says that TCP is under memory pressure.
    pub pressure: Option<bool>,
}
