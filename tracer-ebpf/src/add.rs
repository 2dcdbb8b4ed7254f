//! Adding to a counter that others add to as well.

/// Atomic add to a counter in a map: `BPF_XADD`, which every kernel has. Kernels before 5.12 know no
/// add that fetches, so the instruction is named rather than left to the compiler.
#[inline(always)]
pub(crate) fn add(counter: *mut u64, amount: u64) {
    // SAFETY: the pointer comes from a map lookup and is aligned; the verifier checks it.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({counter} + 0) += {amount}",
            counter = in(reg) counter,
            amount = in(reg) amount,
            options(nostack),
        );
    }
}
