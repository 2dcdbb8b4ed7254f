//! Changes of the node's state, each when it happens and at whose hand.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::map, maps::RingBuf};
use tracer_common::{ABI_VERSION, TimelineRecord, lost};

use crate::{kernel::Object, maps::lose, owner};

/// Apart from the evidence, so that a storm does not crowd it out.
#[map]
static TIMELINE: RingBuf = RingBuf::with_byte_size(1 << 16, 0);

/// Sends one record; a full ring is counted, never waited for.
#[inline(always)]
pub(crate) fn send(sk: Object, cookie: u64, kind: u32, milliseconds: u64) {
    let Some(mut record) = TIMELINE.reserve::<TimelineRecord>(0) else {
        return lose(lost::TIMELINE_FULL);
    };
    record.write(TimelineRecord {
        abi: ABI_VERSION,
        size: size_of::<TimelineRecord>() as u32,
        // SAFETY: the helper has no precondition.
        at_ns: unsafe { bpf_ktime_get_ns() },
        cookie,
        owner: owner::of(sk),
        kind,
        milliseconds: milliseconds as u32,
    });
    record.submit(0);
}
