//! What the agent may do: which capabilities it holds, for what, and that it gives back what periodic work does not need.
//!
//! Capabilities belong to threads (capabilities(7)), so all of them are made to give them back: see [`drop_all`].

mod threads;

use rustix::thread::{CapabilitySet, capabilities};

use super::config::Privileges;

pub use threads::{Dropped, drop_all};

/// When a capability is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Until everything is attached.
    Attaching,
    /// As long as the agent runs, if it enters the namespaces of others (`privileges.setns`).
    Entering,
    /// As long as the agent runs.
    Always,
}

impl When {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Attaching => "until everything is attached",
            Self::Entering => "always, unless privileges.setns = false",
            Self::Always => "always",
        }
    }
}

/// A capability that is needed, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// As the kernel numbers it.
    pub capability: CapabilitySet,
    /// As it is called.
    pub name: &'static str,
    /// When it is needed.
    pub when: When,
    /// For what.
    pub why: &'static str,
}

/// All that is needed. No other capability is.
pub const NEEDS: [Need; 6] = [
    Need {
        capability: CapabilitySet::BPF,
        name: "CAP_BPF",
        when: When::Always,
        why: "loads programs and makes maps; reads them, where kernel.unprivileged_bpf_disabled is set and the kernel is older than 5.19, \
              which then lets nobody call bpf(2) without it",
    },
    Need {
        capability: CapabilitySet::PERFMON,
        name: "CAP_PERFMON",
        when: When::Attaching,
        why: "loads and attaches programs that trace and read kernel memory",
    },
    Need {
        capability: CapabilitySet::SYSLOG,
        name: "CAP_SYSLOG",
        when: When::Attaching,
        why: "reads addresses in /proc/kallsyms where kernel.kptr_restrict is 1",
    },
    Need {
        capability: CapabilitySet::SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        when: When::Entering,
        why: "enters the network namespaces of pods, and the node's cgroup namespace; stands for CAP_BPF and CAP_PERFMON where these are not \
              granted; opens the links of kprobes; takes the agent's own sockets out of tcp_mem (6.19 and later)",
    },
    Need {
        capability: CapabilitySet::SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        when: When::Always,
        why: "sees namespaces, descriptors and waits of the processes of others",
    },
    Need {
        capability: CapabilitySet::DAC_READ_SEARCH,
        name: "CAP_DAC_READ_SEARCH",
        when: When::Always,
        why: "opens /proc/PID/fd of other users",
    },
];

/// What is blind without `CAP_SYS_ADMIN`, in words.
pub const BLIND_WITHOUT_SETNS: &str = "TCP memory of sockets in other network namespaces than the agent's own (their sockets and counters \
    are read from /proc/PID/net, without memory), counters of namespaces in which no process is, cookies of namespaces, and in a \
    container that has a cgroup namespace of its own the cgroups of others";

/// The effective capabilities of the calling thread.
///
/// # Errors
/// When the kernel does not tell.
pub fn held() -> std::io::Result<CapabilitySet> {
    Ok(capabilities(None)?.effective)
}

/// What stays of the capabilities that are held, once everything is attached; `None` where nothing is to be given back (pure).
#[must_use]
pub fn kept(config: &Privileges, held: CapabilitySet) -> Option<CapabilitySet> {
    let mut needed = CapabilitySet::empty();
    for need in &NEEDS {
        let needs = match need.when {
            When::Attaching => !config.drop,
            When::Entering => config.setns,
            When::Always => true,
        };
        if needs {
            needed |= need.capability;
        }
    }
    // Before Linux 5.8, and where it was not granted, that one stands for it.
    if !held.contains(CapabilitySet::BPF) {
        needed |= CapabilitySet::SYS_ADMIN;
    }
    match (config.drop, config.setns) {
        (true, _) => Some(held & needed),
        (false, false) => Some(held.difference(CapabilitySet::SYS_ADMIN) | (held & needed)),
        (false, true) => None,
    }
}

/// Names of those that are held and that nothing here needs.
#[must_use]
pub fn not_needed(held: CapabilitySet) -> Vec<String> {
    let needed = NEEDS.iter().map(|need| need.capability);
    names(needed.fold(held, CapabilitySet::difference))
}

/// Names of capabilities, those that are needed as they are called, others by their numbers.
#[must_use]
pub fn names(capabilities: CapabilitySet) -> Vec<String> {
    (0..u64::BITS)
        .map(|number| CapabilitySet::from_bits_retain(1 << number))
        .filter(|one| capabilities.contains(*one))
        .map(|one| {
            let need = NEEDS.iter().find(|need| need.capability == one);
            need.map_or_else(
                || format!("capability {}", one.bits().trailing_zeros()),
                |need| need.name.to_owned(),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
