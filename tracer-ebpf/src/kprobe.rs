//! The same hooks as kprobes, for kernels without BPF trampolines; the bodies are shared.
//!
//! A kretprobe is told the returned value and nothing of the call, so a kprobe at the entry keeps the
//! arguments. (Registers are read as on x86_64.) A call is known by the place of its return address on the stack, which no other live call
//! shares, whatever task, softirq or CPU it runs on. What does not pair up is counted as lost.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_common::lost;

use crate::{
    backlog, charge, collapse, data_queue,
    double::Twin,
    drops,
    kernel::Slots,
    listen,
    maps::{CALLS, lose},
    mptcp, oom, pressure, prune, rmem, schedule, send_rcvq,
};

/// `pt_regs.sp` in words (`arch/x86/include/asm/ptrace.h`).
const STACK_POINTER: usize = 19;
/// How far the stack pointer has moved when a function has returned: it took its return address along.
const RETURNED: u64 = 8;

/// Most arguments that are kept.
const ARGUMENTS: usize = 3;

/// A live call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CallKey {
    /// Where its return address is.
    stack: u64,
    /// Which function.
    function: u64,
}

/// Arguments, and behind them the value returned.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call([u64; ARGUMENTS + 1]);

impl Slots for Call {
    #[inline(always)]
    fn slot<const N: usize>(&self) -> u64 {
        self.0[N]
    }
}

impl Slots for ProbeContext {
    #[inline(always)]
    fn slot<const N: usize>(&self) -> u64 {
        self.arg(N).unwrap_or(0)
    }
}

#[inline(always)]
fn stack(regs: *const u64) -> u64 {
    // SAFETY: the context of a kprobe is the registers; the verifier checks the offset.
    unsafe { *regs.add(STACK_POINTER) }
}

/// Keeps the arguments of a call.
#[inline(always)]
fn keep(ctx: &ProbeContext, function: u64) {
    let key = CallKey {
        stack: stack(ctx.regs.cast()),
        function,
    };
    let call = Call([ctx.slot::<0>(), ctx.slot::<1>(), ctx.slot::<2>(), 0]);
    if CALLS.insert(&key, &call, u64::from(BPF_NOEXIST)).is_err() {
        // A call whose end was missed left one there; or there is no room.
        lose(lost::UNPAIRED);
        let _ = CALLS.insert(&key, &call, 0);
    }
}

/// The call that returns, its value in the slot after `arguments` ones.
#[inline(always)]
fn returned(ctx: &RetProbeContext, function: u64, arguments: usize) -> Option<Call> {
    let key = CallKey {
        stack: stack(ctx.regs.cast()).wrapping_sub(RETURNED),
        function,
    };
    // SAFETY: only this call uses the entry.
    let Some(mut call) = (unsafe { CALLS.get(&key) }).copied() else {
        lose(lost::UNPAIRED);
        return None;
    };
    let _ = CALLS.remove(&key);
    call.0[arguments & ARGUMENTS] = ctx.ret::<u64>();
    Some(call)
}

macro_rules! entry {
    ($name:ident, $body:path $(, $twin:expr)?) => {
        #[kprobe]
        pub(crate) fn $name(ctx: ProbeContext) -> u32 {
            $body(&ctx $(, $twin)?);
            0
        }
    };
}

/// The pair of programs for the end of a function: `exit!(NUMBER, ARGUMENTS, keeps, ends, body)`.
macro_rules! exit {
    ($number:literal, $arguments:literal, $keeps:ident, $ends:ident, $body:path $(, $twin:expr)?) => {
        #[kprobe]
        pub(crate) fn $keeps(ctx: ProbeContext) -> u32 {
            keep(&ctx, $number);
            0
        }

        #[kretprobe]
        pub(crate) fn $ends(ctx: RetProbeContext) -> u32 {
            if let Some(call) = returned(&ctx, $number, $arguments) {
                $body(&call $(, $twin)?);
            }
            0
        }
    };
}

const A: Twin = Twin::A;

#[inline(always)]
fn added_3(call: &Call) {
    backlog::added_3(call, call.0[2]);
}

entry!(k_rmem_enter, rmem::enter, A);
entry!(k_send_rcvq_enter, send_rcvq::enter, A);
entry!(k_prune_enter, prune::enter, A);
entry!(k_prune_ofo_enter, prune::ofo_enter, A);
entry!(k_collapse_one_enter, collapse::enter, A);
entry!(k_collapse_enter, collapse::begins);
entry!(k_data_queue_enter, drops::data_queue_enter, A);
entry!(k_pressure_enter_enter, pressure::enters, A);
entry!(k_pressure_leave_enter, pressure::leaves, A);
entry!(k_v4_request_enter, listen::of_listener);
entry!(k_v6_request_enter, listen::of_listener);
entry!(k_subflow_v4_request_enter, listen::of_listener);
entry!(k_subflow_v6_request_enter, listen::of_listener);
entry!(k_check_req_enter, listen::of_listener);
entry!(k_cookie_sock_enter, listen::of_listener);
entry!(k_req_err_enter, listen::of_request);
entry!(k_mptcp_options_enter, mptcp::enters);

exit!(1, 3, k_rmem_call, k_rmem_exit, rmem::exit, A);
exit!(
    2,
    2,
    k_data_queue_call,
    k_data_queue_exit,
    data_queue::exit,
    A
);
exit!(3, 3, k_send_rcvq_call, k_send_rcvq_exit, send_rcvq::exit, A);
exit!(4, 3, k_schedule_call, k_schedule_exit, schedule::exit, A);
exit!(
    5,
    1,
    k_prune_ofo_call_1,
    k_prune_ofo_exit_1,
    prune::exit_1,
    A
);
exit!(
    6,
    2,
    k_prune_ofo_call_2,
    k_prune_ofo_exit_2,
    prune::exit_2,
    A
);
exit!(7, 3, k_sk_charge_call, k_sk_charge_exit, charge::sk_charged);
exit!(
    8,
    3,
    k_charge_skmem_call,
    k_charge_skmem_exit,
    charge::charged_3
);
exit!(
    9,
    2,
    k_charge_skmem_call_short,
    k_charge_skmem_exit_short,
    charge::charged_2
);
exit!(10, 2, k_check_oom_call, k_check_oom_exit, oom::checked);
exit!(11, 2, k_backlog_call_2, k_backlog_exit_2, backlog::added_2);
exit!(12, 3, k_backlog_call_3, k_backlog_exit_3, added_3);
exit!(
    13,
    1,
    k_pressure_enter_call,
    k_pressure_enter_exit,
    pressure::entered,
    A
);
exit!(
    14,
    1,
    k_pressure_leave_call,
    k_pressure_leave_exit,
    pressure::left,
    A
);
exit!(
    15,
    1,
    k_v4_request_call,
    k_v4_request_exit,
    listen::of_listener
);
exit!(
    16,
    1,
    k_v6_request_call,
    k_v6_request_exit,
    listen::of_listener
);
exit!(
    17,
    1,
    k_subflow_v4_request_call,
    k_subflow_v4_request_exit,
    listen::of_listener
);
exit!(
    18,
    1,
    k_subflow_v6_request_call,
    k_subflow_v6_request_exit,
    listen::of_listener
);
exit!(
    19,
    1,
    k_check_req_call,
    k_check_req_exit,
    listen::of_listener
);
exit!(
    20,
    1,
    k_cookie_sock_call,
    k_cookie_sock_exit,
    listen::of_listener
);
exit!(21, 1, k_req_err_call, k_req_err_exit, listen::of_request);
exit!(
    22,
    2,
    k_mptcp_options_call,
    k_mptcp_options_exit,
    mptcp::left
);
exit!(23, 3, k_collapse_call, k_collapse_exit, collapse::ends);
