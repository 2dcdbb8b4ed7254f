//! Kprobes that the kernel skipped because another one was running on the CPU: each link knows its own
//! (`bpf_link_info.perf_event.kprobe.missed`, `kernel/bpf/syscall.c`, 6.7 and later).

use std::os::fd::{AsFd as _, OwnedFd};

use aya::{Ebpf, programs::Program};
use aya_obj::generated::bpf_link_info;

use super::syscall;

/// The links of our kprobes. While one is held its kprobe stays attached.
#[derive(Default)]
pub(super) struct Links(Vec<(String, OwnedFd)>);

impl Links {
    /// Opens the link of every kprobe; needs `CAP_SYS_ADMIN`.
    pub(super) fn open(ebpf: &Ebpf) -> Self {
        let links: Vec<(u32, OwnedFd)> = syscall::link_ids()
            .filter_map(syscall::link)
            .filter_map(|fd| Some((read(&fd)?.info.prog_id, fd)))
            .collect();
        let mut of_programs: Vec<(String, OwnedFd)> = Vec::new();
        let kprobes: Vec<(u32, &str)> = ebpf
            .programs()
            .filter(|(_, program)| matches!(program, Program::KProbe(_)))
            .filter_map(|(name, program)| Some((program.info().ok()?.id(), name)))
            .collect();
        for (id, fd) in links {
            if let Some((_, name)) = kprobes.iter().find(|(kprobe, _)| *kprobe == id) {
                of_programs.push(((*name).to_owned(), fd));
            }
        }
        Self(of_programs)
    }

    /// How often the kprobe of a program was skipped; `None` where that is not known.
    pub(super) fn missed(&self, program: &str) -> Option<u64> {
        let (_, fd) = self.0.iter().find(|(name, _)| name == program)?;
        let read = read(fd)?;
        let end = std::mem::offset_of!(
            bpf_link_info,
            __bindgen_anon_1.perf_event.__bindgen_anon_1.kprobe.missed
        ) + size_of::<u64>();
        // SAFETY: a link of a kprobe is of this kind, and all of it is plain numbers.
        let missed = unsafe {
            let event = read.info.__bindgen_anon_1.perf_event;
            event.__bindgen_anon_1.kprobe.missed
        };
        (read.len >= end).then_some(missed)
    }
}

fn read(fd: &OwnedFd) -> Option<syscall::Info<bpf_link_info>> {
    syscall::info(fd.as_fd())
}
