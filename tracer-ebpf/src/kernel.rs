//! Every read of kernel memory. Offsets come from [`LAYOUT`], which user space fills from the running
//! kernel's BTF before load; nothing here knows a kernel version.
//!
//! The path of the ordinary segment uses [`typed`] loads through pointers that the verifier knows; a
//! wrong offset is then refused at load. Everything behind a failure uses [`read`].

use core::mem::MaybeUninit;

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_probe_read_kernel,
    programs::{BtfTracePointContext, FEntryContext, FExitContext},
};
use tracer_common::{Layout, Settings, layout::ABSENT};
use zerocopy::FromZeros;

#[unsafe(no_mangle)]
pub(crate) static LAYOUT: Layout = Layout::ABSENT;

#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    evidence_interval_ns: u64::MAX,
    evidence_burst: 0,
    per_cpu_offset: 0,
    tcp_memory_pressure: 0,
    selfcheck: 0,
    kprobes: 0,
};

/// Offset of a field, as set before load.
macro_rules! offset {
    ($field:ident) => {
        $crate::kernel::constant(&$crate::kernel::LAYOUT.$field)
    };
}
pub(crate) use offset;

/// Reads what user space replaced before load, which the compiler must not take for known.
#[inline(always)]
pub(crate) fn constant<T: Copy>(value: &'static T) -> T {
    // SAFETY: the static is always initialised.
    unsafe { core::ptr::read_volatile(value) }
}

#[inline(always)]
pub(crate) fn settings() -> Settings {
    constant(&SETTINGS)
}

/// A kernel object at an address that came from the kernel.
pub(crate) type Object = *const u8;

/// What a program is told of the call: a slot for each argument, and after the last of them one for the
/// value returned.
pub(crate) trait Slots {
    /// A slot.
    fn slot<const N: usize>(&self) -> u64;
}

macro_rules! tracing {
    ($($context:ty),+) => {$(
        impl Slots for $context {
            /// Reading the returned value this way works on every kernel, where the helper for it came
            /// with 5.17.
            #[inline(always)]
            fn slot<const N: usize>(&self) -> u64 {
                // SAFETY: the context of a tracing program is an array of 64-bit slots; the verifier
                // checks N.
                unsafe { *self.as_ptr().cast::<u64>().add(N) }
            }
        }
    )+};
}
tracing!(FEntryContext, FExitContext, BtfTracePointContext);

/// A slot by its number.
macro_rules! slot {
    ($ctx:expr, $n:literal) => {
        $crate::kernel::Slots::slot::<$n>($ctx)
    };
}
pub(crate) use slot;

/// Plain load through a pointer whose type the verifier knows.
#[inline(always)]
pub(crate) fn typed<T: Copy + FromZeros>(object: Object, offset: u32) -> T {
    // To a kprobe the verifier gives no typed pointers.
    if settings().kprobes != 0 {
        return read(object, offset);
    }
    // SAFETY: the verifier checks offset and size against the type of the object and refuses the
    // program otherwise; a fault reads as zero.
    unsafe { core::ptr::read_volatile(object.add(offset as usize).cast::<T>()) }
}

/// Checked read of a field; zero where this kernel does not have it or the address is bad. The helper
/// itself clears what it cannot read, so there is no branch for the verifier to walk twice.
#[inline(always)]
pub(crate) fn read<T: FromZeros>(object: Object, offset: u32) -> T {
    if offset == ABSENT {
        return T::new_zeroed();
    }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address and writes every byte of the value in any case; all-zero
    // bytes are a valid one.
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            object.wrapping_add(offset as usize).cast(),
        );
        value.assume_init()
    }
}

/// Checked read of a pointer to follow.
#[inline(always)]
pub(crate) fn follow(object: Object, offset: u32) -> Object {
    read::<u64>(object, offset) as Object
}

/// Checked read of a field into place; zeroes where it cannot be read.
#[inline(always)]
pub(crate) fn read_into(object: Object, offset: u32, into: &mut [u8]) {
    if offset == ABSENT {
        into.fill(0);
        return;
    }
    // SAFETY: as for `read`.
    unsafe {
        bpf_probe_read_kernel(
            into.as_mut_ptr().cast(),
            into.len() as u32,
            object.wrapping_add(offset as usize).cast(),
        );
    }
}
