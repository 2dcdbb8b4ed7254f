//! Single failures, sampled, with the numbers of their instant. One is also one line of `trace`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracer_common::{
    Compared, EventRecord, Tuple,
    compared::NOT_SEEN,
    event::ABSENT_U32,
    tally::{TallyKey, queue},
};

use super::{Detail, Limit, Owner, TcpMemBytes, state_name};
use crate::holders::{TcpState, socket};

/// One failed admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// When.
    pub at: Timestamp,
    /// Whose socket it was.
    #[serde(default)]
    pub owner: Owner,
    /// Inode number of its network namespace.
    #[serde(default)]
    pub netns: String,
    /// Local address and port; null when the address family is not known.
    #[serde(default)]
    pub local: Option<String>,
    /// Remote address and port.
    #[serde(default)]
    pub remote: Option<String>,
    /// Cookie of the socket; null when the kernel has not given it one.
    #[serde(default)]
    pub cookie: Option<String>,
    /// TCP state.
    #[serde(default)]
    pub state: String,
    /// Queue that the segment was meant for; `forced` when it was queued although admission failed, `admitted` when it
    /// was only after a prune.
    pub queue: Queue,
    /// Limit that refused, or that made the prune necessary.
    #[serde(default)]
    pub limit: Limit,
    /// How it refused.
    #[serde(default)]
    pub detail: Option<Detail>,
    /// Memory on the receive side of the socket.
    #[serde(default)]
    pub rmem_alloc_bytes: Option<u64>,
    /// Limit of the receive side.
    #[serde(default)]
    pub rcvbuf_bytes: Option<u64>,
    /// Payload of the segment.
    #[serde(default)]
    pub skb_len_bytes: Option<u64>,
    /// Memory that the segment asked for.
    #[serde(default)]
    pub skb_truesize_bytes: Option<u64>,
    /// Payload queued in order that nobody has read.
    #[serde(default)]
    pub unread_bytes: Option<u64>,
    /// Skbs merged in this call.
    #[serde(default)]
    pub collapsed_skbs: Option<u64>,
    /// Why the limit is `unknown`.
    #[serde(default)]
    pub limit_why: Option<String>,
    /// Whether the out-of-order queue was empty.
    #[serde(default)]
    pub ofo_empty: Option<bool>,
    /// Memory of the out-of-order queue, derived: the receive side less the receive queue; null where that was too long
    /// to be walked.
    #[serde(default)]
    pub ofo_bytes: Option<u64>,
    /// Time that the call took, in nanoseconds; null when it did not prune.
    #[serde(default)]
    pub stall_ns: Option<u64>,
    /// TCP memory of the node as compared in this call; null when it was not compared.
    #[serde(default)]
    pub allocated_bytes: Option<u64>,
    /// High mark of `tcp_mem` as compared in this call.
    #[serde(default)]
    pub tcp_mem_max_bytes: Option<u64>,
    /// All three marks of `tcp_mem` as compared in this call.
    #[serde(default)]
    pub tcp_mem_bytes: Option<TcpMemBytes>,
    /// The memory cgroup that had no room; null when none refused.
    #[serde(default)]
    pub memcg: Option<FullCgroup>,
}

/// A memory cgroup at the instant when it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FullCgroup {
    /// Its id: that of the socket's own cgroup, or of the one above it whose limit was reached.
    pub cgroup_id: String,
    /// Who it is; a slice above several pods is nobody's alone.
    pub owner: Owner,
    /// What was charged to it and all below it.
    pub usage_bytes: Option<u64>,
    /// Its limit.
    pub max_bytes: Option<u64>,
}

/// Queue that a segment was meant for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = crate::report::schema::open)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// In order.
    Rcv,
    /// Out of order.
    Ofo,
    /// Written by `TCP_REPAIR`.
    SendRcvq,
    /// Admission failed, yet it was queued.
    Forced,
    /// Admitted, but only after a prune.
    Admitted,
    /// A number that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Queue {
    /// From the number that kernel programs use ([`tracer_common::tally::queue`]).
    #[must_use]
    pub const fn from_number(number: usize) -> Self {
        match number {
            queue::RCV => Self::Rcv,
            queue::OFO => Self::Ofo,
            queue::SEND_RCVQ => Self::SendRcvq,
            queue::FORCED => Self::Forced,
            queue::ADMITTED => Self::Admitted,
            _ => Self::Unknown,
        }
    }

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rcv => "rcv",
            Self::Ofo => "ofo",
            Self::SendRcvq => "send_rcvq",
            Self::Forced => "forced",
            Self::Admitted => "admitted",
            Self::Unknown => "unknown",
        }
    }
}

impl Evidence {
    /// A record in words. `owner` is that of `record.owner`, `at` the wall clock of `record.at_ns`; `name` finds the owner
    /// of any key.
    #[must_use]
    pub fn new(
        record: &EventRecord,
        name: &dyn Fn(&TallyKey) -> Owner,
        at: Timestamp,
        page_size: u64,
    ) -> Self {
        let owner = name(&record.owner);
        let bytes = |value: u32| (value != ABSENT_U32).then_some(u64::from(value));
        let pages = |value: u64| (value != NOT_SEEN).then(|| value.saturating_mul(page_size));
        let Compared {
            allocated_pages,
            tcp_mem_pages: [low, pressure, max],
            memcg_id,
            memcg_usage_pages,
            memcg_max_pages,
        } = record.compared;
        Self {
            at,
            owner,
            netns: record.owner.netns_inum.to_string(),
            local: address(
                &record.tuple.local,
                record.tuple.family,
                record.tuple.local_port,
            ),
            remote: address(
                &record.tuple.remote,
                record.tuple.family,
                record.tuple.remote_port,
            ),
            cookie: (record.cookie != 0).then(|| record.cookie.to_string()),
            state: state_name(TcpState::from_number(
                u8::try_from(record.tuple.state).unwrap_or(u8::MAX),
            ))
            .into_owned(),
            queue: Queue::from_number(record.queue as usize),
            limit: Limit::from_number(record.limit as usize),
            detail: Detail::from_number(record.limit as usize),
            rmem_alloc_bytes: bytes(record.rmem_alloc),
            rcvbuf_bytes: bytes(record.rcvbuf),
            skb_len_bytes: bytes(record.skb_len),
            skb_truesize_bytes: bytes(record.skb_truesize),
            unread_bytes: bytes(record.unread),
            collapsed_skbs: bytes(record.collapsed),
            limit_why: None,
            ofo_empty: (record.ofo_empty != ABSENT_U32).then_some(record.ofo_empty != 0),
            ofo_bytes: bytes(record.ofo_bytes),
            stall_ns: (record.stall_ns != 0).then_some(record.stall_ns),
            allocated_bytes: pages(allocated_pages),
            tcp_mem_max_bytes: pages(max),
            tcp_mem_bytes: pages(low)
                .zip(pages(pressure))
                .zip(pages(max))
                .map(|((low, pressure), max)| TcpMemBytes { low, pressure, max }),
            memcg: (memcg_id != 0).then(|| FullCgroup {
                cgroup_id: memcg_id.to_string(),
                owner: name(&TallyKey {
                    cgroup_id: memcg_id,
                    memcg_id,
                    ..record.owner
                }),
                usage_bytes: pages(memcg_usage_pages),
                max_bytes: pages(memcg_max_pages),
            }),
        }
    }
}

/// Address and port in words; `None` when the family is neither IPv4 nor IPv6. An IPv4 peer of an IPv6
/// socket is shown as IPv4.
fn address(bytes: &[u8; 16], family: u16, port: u16) -> Option<String> {
    socket::address(bytes, family, port).map(|address| address.to_string())
}

/// Both ends of a connection in words.
#[must_use]
pub fn addresses(tuple: &Tuple) -> (Option<String>, Option<String>) {
    (
        address(&tuple.local, tuple.family, tuple.local_port),
        address(&tuple.remote, tuple.family, tuple.remote_port),
    )
}

/// At most `most` records in the order of time. Every owner, queue and limit gets its first record
/// before any gets its second, so that a loud one hides nobody.
#[must_use]
pub fn sample(records: &[EventRecord], most: usize) -> Vec<&EventRecord> {
    let mut in_time: Vec<&EventRecord> = records.iter().collect();
    in_time.sort_by_key(|record| record.at_ns);
    let mut seen: BTreeMap<(TallyKey, u32, u32), usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, &EventRecord)> = in_time
        .into_iter()
        .map(|record| {
            let rank = seen
                .entry((record.owner, record.queue, record.limit))
                .or_default();
            *rank += 1;
            (*rank, record)
        })
        .collect();
    ranked.sort_by_key(|(rank, record)| (*rank, record.at_ns));
    ranked.truncate(most);
    let mut chosen: Vec<&EventRecord> = ranked.into_iter().map(|(_, record)| record).collect();
    chosen.sort_by_key(|record| record.at_ns);
    chosen
}
