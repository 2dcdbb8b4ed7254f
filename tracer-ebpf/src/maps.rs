//! Maps that more than one program file uses. User space sets the sizes of hash maps and of the ring of evidence before load, by
//! the machine and its budget.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuHashMap, RingBuf},
};
use tracer_common::{Frame, SocketState, TallyKey, TallyValue, Verdict, lost, selfcheck};

pub(crate) use crate::add::add;
use crate::{
    kprobe::{Call, CallKey},
    mib::MarkKey,
    selfcheck::Begun,
};

/// Exact counts per owner. One shared map with atomic adds rather than one copy per CPU: entries are
/// written only behind a failure, and its size does not grow with the number of CPUs.
#[map]
pub(crate) static TALLIES: HashMap<TallyKey, TallyValue> = HashMap::with_max_entries(4096, 0);

/// Counts whose owner found no room, per network namespace.
#[map]
pub(crate) static OVERFLOW: HashMap<TallyKey, TallyValue> = HashMap::with_max_entries(512, 0);

/// Counts whose network namespace found no room either.
#[map]
pub(crate) static LAST_BUCKET: Array<TallyValue> = Array::with_max_entries(1, 0);

/// What each socket suffered, by cookie.
#[map]
pub(crate) static SOCKETS: HashMap<u64, SocketState> = HashMap::with_max_entries(8192, 0);

/// Calls of `tcp_try_rmem_schedule` in trouble, by socket: at most one can be live per socket, because
/// the function runs only with the socket owned.
#[map]
pub(crate) static FRAMES: HashMap<u64, Frame> = HashMap::with_max_entries(2048, 0);

/// Failed admissions that `tcp_data_queue` has not decided yet, by socket.
#[map]
pub(crate) static PENDING: HashMap<u64, Verdict> = HashMap::with_max_entries(2048, 0);

/// Sockets inside `tcp_send_rcvq`.
#[map]
pub(crate) static IN_SEND_RCVQ: HashMap<u64, u64> = HashMap::with_max_entries(1024, 0);

/// Skbs thrown away because the receive window was 0, until `tcp_data_queue` returns and tells
/// whose; the value is when.
#[map]
pub(crate) static ZERO_WINDOW: HashMap<u64, u64> = HashMap::with_max_entries(1024, 0);

/// Calls that may enter or leave memory pressure, by socket; the value is when they began.
#[map]
pub(crate) static PRESSURE_CALLS: HashMap<u64, u64> = HashMap::with_max_entries(1024, 0);

/// Last seen values of the kernel's own counters, plus 1.
#[map]
pub(crate) static MARKS: PerCpuHashMap<MarkKey, u64> = PerCpuHashMap::with_max_entries(2048, 0);

/// Live calls that a kretprobe will see return.
#[map]
pub(crate) static CALLS: HashMap<CallKey, Call> = HashMap::with_max_entries(4096, 0);

/// Results of the self-check, by [`tracer_common::selfcheck`].
#[map]
pub(crate) static SELFCHECK: Array<u64> = Array::with_max_entries(selfcheck::COUNT, 0);

/// Calls of `tcp_try_rmem_schedule` that the self-check follows, by socket.
#[map]
pub(crate) static BEGUN: HashMap<u64, Begun> = HashMap::with_max_entries(1024, 0);

/// Calls that the self-check saw begin, and calls that are live, on all CPUs.
#[map]
pub(crate) static FOLLOWED: Array<u64> = Array::with_max_entries(2, 0);

/// What could not be kept, by [`tracer_common::lost`].
#[map]
pub(crate) static LOST: Array<u64> = Array::with_max_entries(lost::COUNT, 0);

/// Evidence.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Births of cgroups, apart from the evidence so that a storm does not crowd them out.
#[map]
pub(crate) static CGROUPS: RingBuf = RingBuf::with_byte_size(1 << 18, 0);

/// Adds to a cell of [`LOST`].
#[inline(always)]
pub(crate) fn lose(cell: u32) {
    if let Some(count) = LOST.get_ptr_mut(cell) {
        add(count, 1);
    }
}
