//! Doubled hooks. Since 5.12 the kernel skips a tracing program that is already running on the CPU
//! (`prog->active`, `kernel/bpf/trampoline.c`), so a softirq that interrupts one loses its own event.
//! Each critical hook therefore carries two copies of one body: a nested event finds at most one of
//! them busy. What a body does twice for one event must be idempotent, or be counted per [`Copy`] and
//! judged by the larger of the two counts.

/// Which of the two copies is running.
#[derive(Clone, Copy)]
pub(crate) enum Twin {
    A = 0,
    B = 1,
}

/// Defines the two programs of a doubled hook: `doubled!(fentry, Context, name_a, name_b, body)`.
macro_rules! doubled {
    ($kind:ident, $context:ident, $a:ident, $b:ident, $body:expr) => {
        #[aya_ebpf::macros::$kind]
        pub(crate) fn $a(ctx: aya_ebpf::programs::$context) -> i32 {
            $body(&ctx, $crate::double::Twin::A);
            0
        }

        #[aya_ebpf::macros::$kind]
        pub(crate) fn $b(ctx: aya_ebpf::programs::$context) -> i32 {
            $body(&ctx, $crate::double::Twin::B);
            0
        }
    };
}
pub(crate) use doubled;
