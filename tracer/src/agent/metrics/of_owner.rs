//! Series of owners.

use std::sync::Arc;

use super::{
    catalogue::{HISTOGRAM_SERIES, Kind, Metric, Scope, Unit},
    page::{Label, Sample, Value},
};
use crate::agent::ledger::{Counts, Figures, Held, LIMITS, OwnerLabels, QUEUES, STATES};

/// Label of a queue.
const QUEUE: &str = "queue";
/// Label of a limit.
const LIMIT: &str = "limit";
/// Label of a state of a socket.
pub(super) const STATE: &str = "state";

/// What happened to owners, and what they hold.
pub(super) static METRICS: [Metric; 17] = [
    Metric {
        base: "tcpress_refusals",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[QUEUE, LIMIT],
        most: QUEUES.len() * LIMITS.len(),
        help: "Segments thrown away because admission to a queue failed, by the queue and by the limit that refused",
        samples: refusals,
    },
    Metric {
        base: "tcpress_prunes",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[LIMIT],
        most: LIMITS.len(),
        help: "Calls of the prune path (PruneCalled), by the limit that called for it",
        samples: prunes,
    },
    Metric {
        base: "tcpress_collapsed_skbs",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Socket buffers merged while queues were compacted (TCPRcvCollapsed)",
        samples: |it| counter(it, |counts| counts.collapsed_skbs),
    },
    Metric {
        base: "tcpress_rcv_pruned",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Prunes that freed too little (RcvPruned)",
        samples: |it| counter(it, |counts| counts.rcv_pruned),
    },
    Metric {
        base: "tcpress_ofo_prunes",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Prunes that threw out-of-order socket buffers away (OfoPruned)",
        samples: |it| counter(it, |counts| counts.ofo_prunes),
    },
    Metric {
        base: "tcpress_ofo_pruned",
        unit: Some(Unit::Bytes),
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Memory of received out-of-order socket buffers that were thrown away again",
        samples: |it| counter(it, |counts| counts.ofo_pruned_bytes),
    },
    Metric {
        base: "tcpress_forced_admissions",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Segments that were queued although their admission failed",
        samples: |it| counter(it, |counts| counts.forced_admissions),
    },
    Metric {
        base: "tcpress_zero_window_drops",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Segments dropped because they arrived while the receive window was 0 (TCPZeroWindowDrop)",
        samples: |it| counter(it, |counts| counts.zero_window_drops),
    },
    Metric {
        base: "tcpress_backlog_drops",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Segments dropped because the socket was in use and its backlog full (TCPBacklogDrop)",
        samples: |it| counter(it, |counts| counts.backlog_drops),
    },
    Metric {
        base: "tcpress_aborts_on_memory",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Connections ended for want of memory, or as one orphan too many (TCPAbortOnMemory)",
        samples: |it| counter(it, |counts| counts.aborts_on_memory),
    },
    Metric {
        base: "tcpress_listen_drops",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: 1,
        help: "Connection requests and new connections thrown away at a listener (ListenDrops)",
        samples: |it| counter(it, |counts| counts.listen_drops),
    },
    Metric {
        base: "tcpress_stall",
        unit: Some(Unit::Seconds),
        kind: Kind::Histogram,
        scope: Scope::OwnerCounter,
        labels: &[],
        most: HISTOGRAM_SERIES,
        help: "How long calls that pruned kept the CPU",
        samples: stalls,
    },
    Metric {
        base: "tcpress_held",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        scope: Scope::OwnerGauge,
        labels: &[QUEUE],
        most: 3,
        help: "TCP memory that sockets take from tcp_mem, as last listed: receive queues, send queues, and what is reserved ahead (forward)",
        samples: held,
    },
    Metric {
        base: "tcpress_unread",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        scope: Scope::OwnerGauge,
        labels: &[],
        most: 1,
        help: "Payload received and not read by the application, as last listed",
        samples: |it| gauge(it, |held| held.total.unread),
    },
    Metric {
        base: "tcpress_sockets",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::OwnerGauge,
        labels: &[STATE],
        most: STATES,
        help: "TCP sockets by state, as last listed; states without sockets are left out",
        samples: sockets,
    },
    Metric {
        base: "tcpress_orphan_sockets",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::OwnerGauge,
        labels: &[],
        most: 1,
        help: "Sockets that their application has closed and the kernel still keeps, as last listed",
        samples: |it| gauge(it, |held| held.total.orphans),
    },
    Metric {
        base: "tcpress_not_accepted_sockets",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::OwnerGauge,
        labels: &[],
        most: 1,
        help: "Connections that wait at a listener for their application to accept them, as last listed",
        samples: |it| gauge(it, |held| held.total.not_accepted),
    },
];

fn sample(owner: &Arc<OwnerLabels>, labels: Vec<Label>, value: Value) -> Sample {
    Sample {
        owner: Some(Arc::clone(owner)),
        labels,
        value,
    }
}

/// A counter of each owner of whom it counted anything.
fn counter(figures: &Figures, count: fn(&Counts) -> u64) -> Vec<Sample> {
    let counted = figures
        .owners
        .iter()
        .filter(|(_, counts)| count(counts) > 0);
    counted
        .map(|(owner, counts)| sample(owner, Vec::new(), Value::Whole(count(counts))))
        .collect()
}

fn refusals(figures: &Figures) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (owner, counts) in &figures.owners {
        for (queue, by_limit) in QUEUES.into_iter().zip(counts.refusals) {
            for (limit, count) in LIMITS.into_iter().zip(by_limit) {
                if count > 0 {
                    let labels = vec![(QUEUE, queue.into()), (LIMIT, limit.into())];
                    samples.push(sample(owner, labels, Value::Whole(count)));
                }
            }
        }
    }
    samples
}

fn prunes(figures: &Figures) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (owner, counts) in &figures.owners {
        for (limit, count) in LIMITS.into_iter().zip(counts.prunes) {
            if count > 0 {
                let labels = vec![(LIMIT, limit.into())];
                samples.push(sample(owner, labels, Value::Whole(count)));
            }
        }
    }
    samples
}

fn stalls(figures: &Figures) -> Vec<Sample> {
    let stalled = figures
        .owners
        .iter()
        .filter(|(_, counts)| counts.stalled() > 0);
    stalled
        .map(|(owner, counts)| {
            let value = Value::Stalls(counts.stalls, counts.stall_ns);
            sample(owner, Vec::new(), value)
        })
        .collect()
}

/// Owners whose sockets have memory to tell of.
fn full(figures: &Figures) -> impl Iterator<Item = &(Arc<OwnerLabels>, Held)> {
    figures
        .holders
        .iter()
        .filter(|(_, held)| held.total.full > 0)
}

/// A figure of each owner that has sockets with memory.
fn gauge(figures: &Figures, of: fn(&Held) -> u64) -> Vec<Sample> {
    full(figures)
        .map(|(owner, held)| sample(owner, Vec::new(), Value::Whole(of(held))))
        .collect()
}

fn held(figures: &Figures) -> Vec<Sample> {
    full(figures)
        .flat_map(|(owner, Held { total, .. })| {
            [
                ("receive", total.receive),
                ("send", total.send),
                ("forward", total.forward),
            ]
            .map(|(queue, bytes)| sample(owner, vec![(QUEUE, queue.into())], Value::Whole(bytes)))
        })
        .collect()
}

fn sockets(figures: &Figures) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (owner, held) in &figures.holders {
        for (state, sockets) in &held.states {
            let labels = vec![(STATE, (*state).into())];
            samples.push(sample(owner, labels, Value::Whole(*sockets)));
        }
    }
    samples
}
