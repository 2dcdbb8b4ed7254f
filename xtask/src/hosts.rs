//! Hosts with cgroup v1: which kernels can be such a host, and what is tried there.

use crate::{
    kernels::Kernel,
    vm::{Cgroup, Settings},
};

/// What is tried: that owners are found without a v2 hierarchy that accounts memory, and the limit that only v1 has.
pub(crate) const SCENARIOS: &str = "rcvbuf tcp_mem v1_tcpmem";
/// What of it every test tries.
pub(crate) const FEW_SCENARIOS: &str = "tcp_mem v1_tcpmem";
/// Kernels that Debian builds with the v1 memory controller; from 6.12 on it does not (`CONFIG_MEMCG_V1`).
const KERNELS: [&str; 2] = ["5.10", "6.1"];
/// The layout that every test tries on each of them.
const FEW: [(&str, Cgroup); 2] = [("5.10", Cgroup::Hybrid), ("6.1", Cgroup::V1)];

/// The machines besides the ordinary one that a kernel is tried on.
pub(crate) fn of(kernel: &Kernel, settings: &Settings) -> Vec<Settings> {
    if !KERNELS.contains(&kernel.name.as_str()) {
        return Vec::new();
    }
    let host = |cgroup| Settings {
        cgroup,
        ..settings.clone()
    };
    [Cgroup::V1, Cgroup::Hybrid].map(host).into()
}

/// The one of them that every test tries.
pub(crate) fn one_of(kernel: &Kernel, settings: &Settings) -> Option<Settings> {
    let (_, cgroup) = FEW.iter().find(|(name, _)| *name == kernel.name)?;
    Some(Settings {
        cgroup: *cgroup,
        ..settings.clone()
    })
}
