//! Whose socket: read from the socket, never from the running task, which in softirq may be any. And
//! births of cgroups, so that user space knows the names of those that die young.

use aya_ebpf::{
    helpers::bpf_probe_read_kernel_str_bytes, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tracer_common::{CgroupRecord, TallyKey, event::CGROUP_PATH_MAX, layout::ABSENT, lost};

use crate::{
    kernel::{Object, follow, offset, read, slot},
    maps::{CGROUPS, lose},
};

/// The key of a socket's owner.
#[inline(always)]
pub(crate) fn of(sk: Object) -> TallyKey {
    let memcg = follow(sk, offset!(sock_memcg));
    let net = follow(sk, offset!(sock_net));
    TallyKey {
        cgroup_id: cgroup_id(cgroup_of(sk)),
        memcg_id: cgroup_id(follow(memcg, offset!(memcg_cgroup))),
        netns_cookie: read(net, offset!(net_cookie)),
        netns_inum: read(net, offset!(net_inum)),
        reserved: 0,
    }
}

/// `sk_cgrp_data`: a pointer from 5.15 on; before, a word whose two low bits say that it is something
/// else (`include/linux/cgroup-defs.h`), and then the socket belongs to the root cgroup.
#[inline(always)]
fn cgroup_of(sk: Object) -> Object {
    if offset!(sock_cgroup) != ABSENT {
        return follow(sk, offset!(sock_cgroup));
    }
    let word = read::<u64>(sk, offset!(sock_cgroup_val));
    if word & 3 == 0 {
        word as Object
    } else {
        core::ptr::null()
    }
}

/// The id of a cgroup; 0 for none.
#[inline(always)]
pub(crate) fn cgroup_id(cgroup: Object) -> u64 {
    read(follow(cgroup, offset!(cgroup_kn)), offset!(kernfs_id))
}

/// The number of a cgroup's hierarchy: 0 is the default (v2) one; all ones where it cannot be told.
#[inline(always)]
pub(crate) fn hierarchy_of(cgroup: Object) -> u32 {
    if offset!(cgroup_root_hierarchy_id) == ABSENT {
        return u32::MAX;
    }
    read(
        follow(cgroup, offset!(cgroup_root)),
        offset!(cgroup_root_hierarchy_id),
    )
}

/// `cgroup:cgroup_mkdir(cgroup, path)`.
#[btf_tracepoint]
pub(crate) fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = slot!(&ctx, 0) as Object;
    let path = slot!(&ctx, 1) as Object;
    let Some(mut record) = CGROUPS.reserve::<CgroupRecord>(0) else {
        lose(lost::CGROUP_RING_FULL);
        return 0;
    };
    let record_ptr = record.as_mut_ptr();
    // SAFETY: the record is ours until submitted; every field is written before it is.
    unsafe {
        (*record_ptr).id = cgroup_id(cgroup);
        (*record_ptr).hierarchy = hierarchy_of(cgroup);
        core::ptr::write_bytes(record_ptr.cast::<u8>().add(16), 0, CGROUP_PATH_MAX);
        let buffer = &mut (*record_ptr).path;
        (*record_ptr).path_len = match bpf_probe_read_kernel_str_bytes(path, buffer) {
            Ok(text) => text.len() as u32,
            Err(_) => 0,
        };
    }
    record.submit(0);
    0
}
