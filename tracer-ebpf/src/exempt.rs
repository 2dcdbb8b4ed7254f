//! Takes the sockets that one process opens out of `tcp_mem`: the answer of the agent leaves a node whose TCP memory is full.
//!
//! Linux 6.19 and later: `bpf_sock_create_setsockopt` takes `SK_BPF_BYPASS_PROT_MEM` when a socket is made (`net/core/filter.c`), and sockets
//! that a listener accepts are copies of it (`sk_clone`, `net/core/sock.c`). Older verifiers refuse the call, so the program does not load.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(
    missing_docs,
    reason = "the macros of aya-ebpf generate items without documentation"
)]

mod add;
mod object;

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_pidns_info,
    helpers::generated::{bpf_get_ns_current_pid_tgid, bpf_setsockopt},
    macros::{cgroup_sock, map},
    maps::Array,
    programs::SockContext,
};
use tracer_common::exempt::{EXEMPT, OwnProcess, REFUSED};

/// `include/uapi/linux/bpf.h`, of 6.19.
const SK_BPF_BYPASS_PROT_MEM: i32 = 1010;
const SOL_SOCKET: i32 = 1;
/// What lets the socket be made.
const ALLOW: i32 = 1;

#[unsafe(no_mangle)]
static OWN: OwnProcess = OwnProcess::NOBODY;

/// How many sockets of the process were exempted, and how many the kernel refused to exempt.
#[map]
static OWN_SOCKETS: Array<u64> = Array::with_max_entries(2, 0);

/// Others of the same cgroup, and of cgroups within it, pay as before.
#[cgroup_sock(sock_create)]
pub(crate) fn exempt_own_socket(ctx: SockContext) -> i32 {
    if is_own() {
        let mut on = 1_i32;
        // SAFETY: the context is the socket that is being made, and the option is an int that outlives the call.
        let done = unsafe {
            bpf_setsockopt(
                ctx.as_ptr(),
                SOL_SOCKET,
                SK_BPF_BYPASS_PROT_MEM,
                (&raw mut on).cast(),
                size_of::<i32>() as i32,
            )
        };
        count(if done == 0 { EXEMPT } else { REFUSED });
    }
    ALLOW
}

fn is_own() -> bool {
    // SAFETY: written before the program was loaded, and never since.
    let own = unsafe { core::ptr::read_volatile(&raw const OWN) };
    let mut process = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: the structure is as long as is stated.
    let found = unsafe {
        bpf_get_ns_current_pid_tgid(
            own.pid_namespace_device,
            own.pid_namespace_inode,
            &raw mut process,
            size_of::<bpf_pidns_info>() as u32,
        )
    };
    found == 0 && process.tgid == own.tgid
}

fn count(which: u32) {
    if let Some(counter) = OWN_SOCKETS.get_ptr_mut(which) {
        add::add(counter, 1);
    }
}
