//! The calls of `bpf(2)` that aya does not make for us.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use aya_obj::generated::bpf_cmd;

/// What the kernel says of an object. It fills in as much of the struct as it knows.
pub(super) struct Info<T> {
    pub(super) info: T,
    /// How many bytes of it the kernel knows.
    pub(super) len: usize,
}

/// `BPF_OBJ_GET_INFO_BY_FD`. `T` is one of the kernel's `bpf_*_info`, for which all-zero bytes are valid.
pub(super) fn info<T: Copy>(fd: BorrowedFd<'_>) -> Option<Info<T>> {
    #[repr(C)]
    struct Attributes {
        fd: u32,
        info_len: u32,
        info: u64,
    }
    // SAFETY: see above.
    let mut info: T = unsafe { std::mem::zeroed() };
    let mut attributes = Attributes {
        fd: fd.as_raw_fd() as u32,
        info_len: size_of::<T>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the attributes name a buffer of the length that they state; both outlive the call.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &raw mut attributes) }?;
    Some(Info {
        info,
        len: attributes.info_len as usize,
    })
}

#[repr(C)]
struct Ids {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The ids of all links of the system, ours and others'; none without the right to list them.
pub(super) fn link_ids() -> impl Iterator<Item = u32> {
    std::iter::successors(next_link(0), |id| next_link(*id))
}

fn next_link(id: u32) -> Option<u32> {
    let mut ids = Ids {
        id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: the attributes are plain numbers.
    unsafe { bpf(bpf_cmd::BPF_LINK_GET_NEXT_ID, &raw mut ids) }?;
    Some(ids.next_id)
}

/// Opens a link.
pub(super) fn link(id: u32) -> Option<OwnedFd> {
    let mut ids = Ids {
        id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: the attributes are plain numbers.
    let fd = unsafe { bpf(bpf_cmd::BPF_LINK_GET_FD_BY_ID, &raw mut ids) }?;
    // SAFETY: the descriptor is new and ours.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the call returned, unless it failed.
///
/// # Safety
/// The attributes must be those of the command.
unsafe fn bpf<T>(command: bpf_cmd, attributes: *mut T) -> Option<i32> {
    // SAFETY: by the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            attributes,
            size_of::<T>(),
        )
    };
    i32::try_from(result).ok().filter(|result| *result >= 0)
}
