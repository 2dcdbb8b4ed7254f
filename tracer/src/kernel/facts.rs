//! What the running kernel is and has. Facts only: what follows from them is the plan's business.
//! Nothing here asks for a version number.

use std::{collections::BTreeMap, fs, io, path::Path};

use super::{
    btf::Btf,
    layout::{self, Resolved},
};

/// What the kernel and our rights allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What its BTF tells; `Err` says in words why there is none.
    pub types: Result<Types, String>,
    /// Symbols that begin like a function we look for, by that function's name: the plain name and its
    /// clones (`.isra.0`, `.part.0`, …). `None` when `/proc/kallsyms` cannot be read.
    pub symbols: Option<BTreeMap<&'static str, Vec<String>>>,
    /// Addresses of what is read in place.
    pub addresses: Addresses,
    /// Whether we may load tracing programs (`CAP_BPF` and `CAP_PERFMON`, or `CAP_SYS_ADMIN`).
    pub may_trace: bool,
    /// Whether we may enter the network namespaces of others (`CAP_SYS_ADMIN`).
    pub may_enter_netns: bool,
    /// Kernel lockdown: `none`, `integrity` or `confidentiality`; `None` where the kernel has none.
    pub lockdown: Option<String>,
}

/// Addresses of kernel variables; 0 where `/proc/kallsyms` does not tell (`kernel.kptr_restrict`, or a
/// kernel without `CONFIG_KALLSYMS_ALL`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Offsets of the per-CPU areas (`include/asm-generic/percpu.h`).
    pub per_cpu_offset: u64,
    /// When the node came under TCP memory pressure (`net/ipv4/tcp.c`).
    pub tcp_memory_pressure: u64,
}

/// What BTF tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Types {
    /// Number of arguments of each function that we look for and that exists.
    pub functions: BTreeMap<&'static str, usize>,
    /// The tracepoints that we look for and that exist.
    pub tracepoints: Vec<&'static str>,
    /// Offsets of fields.
    pub resolved: Resolved,
    /// Whether the kernel skips a tracing program that is already running on the CPU (5.12 and later).
    pub skips_running_programs: bool,
    /// Whether Multipath TCP refuses segments of connections that fell back, and counts them as those of TCP
    /// (7.3 and later).
    pub mptcp_refuses: bool,
    /// Whether the kernel counts the kprobes that it skips (6.7 and later; it then tells of those of a
    /// link too).
    pub counts_skipped_kprobes: bool,
}

/// Functions that some plan may probe.
pub const FUNCTIONS: &[&str] = &[
    "tcp_try_rmem_schedule",
    "tcp_prune_queue",
    "tcp_prune_ofo_queue",
    "tcp_collapse",
    "tcp_collapse_one",
    "tcp_data_queue",
    "tcp_send_rcvq",
    "__sk_mem_schedule",
    "mem_cgroup_sk_charge",
    "mem_cgroup_charge_skmem",
    "tcp_add_backlog",
    "tcp_check_oom",
    "tcp_enter_memory_pressure",
    "tcp_leave_memory_pressure",
    "tcp_v4_conn_request",
    "tcp_v6_conn_request",
    "subflow_v4_conn_request",
    "subflow_v6_conn_request",
    "tcp_check_req",
    "tcp_get_cookie_sock",
    "tcp_req_err",
    "mptcp_incoming_options",
];

/// Tracepoints that some plan may probe.
pub const TRACEPOINTS: &[&str] = &[
    "sock_exceed_buf_limit",
    "tcp_destroy_sock",
    "cgroup_mkdir",
    "kfree_skb",
];

/// Fields whose presence tells what the kernel can do: it skips a tracing program that is already running
/// on the CPU, and it counts the kprobes that it skips.
pub const FEATURES: [&str; 2] = ["bpf_prog.active", "bpf_link_info.perf_event.kprobe.missed"];

/// A counter of Multipath TCP that came together with its limit on connections that fell back.
pub const MPTCP_REFUSES: &str = "MPTCP_MIB_BACKLOGDROP";

const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Asks the running kernel.
#[must_use]
pub fn gather(proc: &Path, btf: &Path) -> Facts {
    let capabilities = fs::read_to_string(proc.join("self/status"))
        .ok()
        .and_then(|status| effective_capabilities(&status))
        .unwrap_or(0);
    let has = |capability: u32| capabilities & (1 << capability) != 0;
    let kallsyms = fs::read(proc.join("kallsyms")).ok();
    let kallsyms = kallsyms
        .as_deref()
        .map(|text| String::from_utf8_lossy(text));
    Facts {
        types: read_types(btf),
        symbols: kallsyms.as_deref().map(symbols),
        addresses: kallsyms.as_deref().map(addresses).unwrap_or_default(),
        may_trace: has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON)),
        may_enter_netns: has(CAP_SYS_ADMIN),
        lockdown: fs::read_to_string("/sys/kernel/security/lockdown")
            .ok()
            .and_then(|text| lockdown(&text)),
    }
}

fn read_types(path: &Path) -> Result<Types, String> {
    let data = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!(
            "this kernel has no BTF ({} is missing): it was built without CONFIG_DEBUG_INFO_BTF",
            path.display()
        ),
        _ => format!("cannot read {}: {error}", path.display()),
    })?;
    let btf = Btf::parse(data).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(types(&btf))
}

/// What a BTF tells of what we look for.
#[must_use]
pub fn types(btf: &Btf) -> Types {
    Types {
        functions: FUNCTIONS
            .iter()
            .filter_map(|&name| Some((name, btf.function(name)?)))
            .collect(),
        tracepoints: TRACEPOINTS
            .iter()
            .copied()
            .filter(|name| btf.tracepoint(name))
            .collect(),
        resolved: layout::resolve(btf),
        skips_running_programs: btf.field(FEATURES[0]).is_some(),
        mptcp_refuses: btf.enumerators(&[MPTCP_REFUSES])[0].is_some(),
        counts_skipped_kprobes: btf.field(FEATURES[1]).is_some(),
    }
}

/// The symbols of `/proc/kallsyms` that are one of [`FUNCTIONS`] or a clone of one.
#[must_use]
pub fn symbols(kallsyms: &str) -> BTreeMap<&'static str, Vec<String>> {
    let mut found: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for line in kallsyms.lines() {
        let Some(symbol) = line.split_ascii_whitespace().nth(2) else {
            continue;
        };
        let stem = symbol.split('.').next().unwrap_or(symbol);
        if let Some(&name) = FUNCTIONS.iter().find(|&&name| name == stem) {
            found.entry(name).or_default().push(symbol.to_owned());
        }
    }
    found
}

/// The addresses in `/proc/kallsyms`.
#[must_use]
pub fn addresses(kallsyms: &str) -> Addresses {
    let mut found = Addresses::default();
    for line in kallsyms.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(symbol), None) = (words.next(), words.nth(1), words.next()) else {
            continue;
        };
        let slot = match symbol {
            "__per_cpu_offset" => &mut found.per_cpu_offset,
            "tcp_memory_pressure" => &mut found.tcp_memory_pressure,
            _ => continue,
        };
        *slot = u64::from_str_radix(address, 16).unwrap_or(0);
    }
    found
}

/// The mode in brackets of `/sys/kernel/security/lockdown`.
#[must_use]
pub fn lockdown(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

/// The effective capabilities in `/proc/PID/status`.
#[must_use]
pub fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}
