//! What the kernel programs are told before load.

use std::time::Duration;

use tracer_common::Settings;

use crate::kernel::facts::Addresses;

/// Evidence that is sent however fast it comes, of one owner, queue and limit.
const EVIDENCE_BURST: u64 = 16;
/// After that, one record of the same kind in this time.
const EVIDENCE_INTERVAL: Duration = Duration::from_millis(100);

/// What the kernel programs are told before load.
#[must_use]
pub const fn settings(addresses: Addresses, selfcheck: bool) -> Settings {
    Settings {
        evidence_interval_ns: EVIDENCE_INTERVAL.as_nanos() as u64,
        evidence_burst: EVIDENCE_BURST,
        per_cpu_offset: addresses.per_cpu_offset,
        tcp_memory_pressure: addresses.tcp_memory_pressure,
        selfcheck: selfcheck as u64,
        kprobes: 0,
    }
}
