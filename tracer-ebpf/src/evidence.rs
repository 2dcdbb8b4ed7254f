//! Sends evidence of one failed admission.

use tracer_common::{ABI_VERSION, EventRecord, TallyKey, Verdict, event::ABSENT_U32, lost};

use crate::{
    kernel::Object,
    maps::{EVENTS, lose},
    sock,
};

/// Sends one record; a full ring is counted, never waited for.
#[inline(always)]
pub(crate) fn send(
    sk: Object,
    cookie: u64,
    owner: &TallyKey,
    verdict: &Verdict,
    queue: usize,
    now: u64,
) {
    let Some(mut record) = EVENTS.reserve::<EventRecord>(0) else {
        return lose(lost::RING_FULL);
    };
    // Field by field, in place: the stack of a program is small.
    // SAFETY: the record is ours until submitted, and every field is written before it is.
    let event = unsafe { &mut *record.as_mut_ptr() };
    event.abi = ABI_VERSION;
    event.size = size_of::<EventRecord>() as u32;
    event.at_ns = now;
    event.stall_ns = verdict.stall_ns;
    event.cookie = cookie;
    event.owner = *owner;
    sock::fill_tuple(sk, &mut event.tuple);
    event.queue = queue as u32;
    event.limit = verdict.limit;
    event.rmem_alloc = sock::rmem_alloc(sk);
    event.rcvbuf = sock::rcvbuf(sk);
    event.skb_len = verdict.skb_len;
    event.skb_truesize = verdict.skb_truesize;
    event.unread = sock::unread(sk).unwrap_or(ABSENT_U32);
    event.collapsed = verdict.collapsed;
    event.ofo_pruned = verdict.ofo_pruned;
    event.pruned = verdict.pruned;
    let (ofo_empty, ofo_bytes) = sock::ofo_queue(sk, event.rmem_alloc);
    event.ofo_empty = ofo_empty;
    event.ofo_bytes = ofo_bytes;
    event.compared = verdict.compared;
    record.submit(0);
}
