//! The kernel's own counters, read in place: `net->mib.net_statistics`, one array of words per CPU
//! (`include/net/netns/mib.h`, `include/net/snmp.h`).
//!
//! Where the kernel decides in a way that cannot be seen from outside, the rise of its counter is
//! attributed to the socket of the call around it. A mark per CPU and network namespace says how far a
//! counter has been attributed; it is moved at both ends of a call, so that each rise is attributed once
//! even where calls nest.

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use tracer_common::lost;

use crate::{
    kernel::{Object, follow, offset, read, settings},
    maps::{MARKS, lose},
};

/// Which counter of which network namespace.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct MarkKey {
    /// Cookie of the namespace, else its address.
    net: u64,
    cell: u32,
    reserved: u32,
}

#[inline(always)]
pub(crate) fn this_cpu() -> u32 {
    // SAFETY: the helper has no precondition.
    unsafe { bpf_get_smp_processor_id() }
}

/// A counter of a network namespace on one CPU.
#[inline(always)]
pub(crate) fn cell(net: Object, cell: u32, cpu: u32) -> u64 {
    let offsets = settings().per_cpu_offset as Object;
    let offset_of_cpu: u64 = read(offsets, cpu * size_of::<u64>() as u32);
    let counters = follow(net, offset!(net_mib)).wrapping_add(offset_of_cpu as usize);
    read(counters, cell * size_of::<u64>() as u32)
}

/// How far a counter has risen on this CPU since it was last looked at.
#[inline(always)]
pub(crate) fn risen(sk: Object, index: u32) -> u64 {
    let net = follow(sk, offset!(sock_net));
    let cookie: u64 = read(net, offset!(net_cookie));
    let cpu = this_cpu();
    let key = MarkKey {
        net: if cookie == 0 { net as u64 } else { cookie },
        cell: index,
        reserved: 0,
    };
    let now = cell(net, index, cpu);
    // 0 is the mark of a CPU that has made none.
    let new_mark = now.wrapping_add(1);
    if let Some(mark) = MARKS.get_ptr_mut(&key) {
        // SAFETY: the verifier knows the pointer; the mark is this CPU's own.
        let before = unsafe { core::ptr::read_volatile(mark) };
        // Another call on this CPU, between our look at the counter and this, has attributed more: a mark that went back would attribute that
        // again. But an address that was given to another namespace starts again.
        if cookie != 0 && new_mark <= before {
            return 0;
        }
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile(mark, new_mark) };
        return match before {
            0 => 0,
            before => new_mark.saturating_sub(before),
        };
    }
    if MARKS.insert(&key, &new_mark, 0).is_err() {
        lose(lost::MARKS_FULL);
    }
    0
}
