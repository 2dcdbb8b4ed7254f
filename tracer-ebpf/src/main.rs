//! The kernel programs of tcpress. One file per hook; names of programs are `HOOK_enter` or `HOOK_exit`
//! and, where a hook is doubled, a final `_a` or `_b` (see [`double`]).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "a value passed on the small stack of a program may not fit there"
)]
#![allow(
    missing_docs,
    reason = "the macros of aya-ebpf generate items without documentation"
)]

mod add;
mod backlog;
mod charge;
mod collapse;
mod data_queue;
mod double;
mod drops;
mod evidence;
mod frame;
mod kernel;
mod kprobe;
mod listen;
mod maps;
mod mib;
mod mptcp;
mod object;
mod oom;
mod owner;
mod pressure;
mod prune;
mod rmem;
mod schedule;
mod selfcheck;
mod send_rcvq;
mod sock;
mod tally;
mod timeline;
mod trouble;
mod verdict;
