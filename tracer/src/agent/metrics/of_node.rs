//! Series of the node.

use super::{
    catalogue::{Kind, Metric, Scope, Unit},
    of_owner::STATE,
    page::{Label, Sample, Value},
};
use crate::{
    agent::ledger::{Figures, NodeFigures, Reconciled},
    indicators::Counter,
};

/// Label of a counter of the kernel.
const COUNTER: &str = "counter";
/// Label of a mark of `tcp_mem`.
const LEVEL: &str = "level";
/// Names of the marks.
const LEVELS: [&str; 3] = ["low", "pressure", "max"];
/// Names of the figures of `/proc/net/sockstat`.
const SOCKETS: [&str; 4] = ["inuse", "orphan", "tw", "alloc"];

/// How many counters of the kernel there are.
const COUNTERS: usize = Counter::ALL.len();

/// The node's TCP memory, its sockets, and the kernel's own counters.
pub(super) static METRICS: [Metric; 8] = [
    Metric {
        base: "tcpress_tcp_mem",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        scope: Scope::Node,
        labels: &[],
        most: 1,
        help: "TCP memory allocated node-wide, as /proc/net/sockstat says; reserves of CPUs make it lag",
        samples: tcp_mem,
    },
    Metric {
        base: "tcpress_tcp_mem_limit",
        unit: Some(Unit::Bytes),
        kind: Kind::Gauge,
        scope: Scope::Node,
        labels: &[LEVEL],
        most: LEVELS.len(),
        help: "The marks of net.ipv4.tcp_mem",
        samples: tcp_mem_limit,
    },
    Metric {
        base: "tcpress_tcp_memory_pressure",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Node,
        labels: &[],
        most: 1,
        help: "Whether TCP is under memory pressure (1) or not (0)",
        samples: |it| flag(it.node.pressure),
    },
    Metric {
        base: "tcpress_tcp_sockets",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Node,
        labels: &[STATE],
        most: SOCKETS.len(),
        help: "TCP sockets as /proc/net/sockstat says: inuse and tw of the agent's network namespace, orphan and alloc of the whole node",
        samples: tcp_sockets,
    },
    Metric {
        base: "tcpress_snmp",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Node,
        labels: &[COUNTER],
        most: COUNTERS,
        help: "Rise of the kernel's own counters since the agent began, over all network namespaces that it sees",
        samples: |it| reconciled(it, |sums| sums.kernel.map(Value::Whole)),
    },
    Metric {
        base: "tcpress_attributed",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Node,
        labels: &[COUNTER],
        most: COUNTERS,
        help: "What tcpress counted of the same, whoever the owner",
        samples: |it| reconciled(it, |sums| sums.attributed.map(Value::Whole)),
    },
    Metric {
        base: "tcpress_residual",
        unit: None,
        kind: Kind::Gauge,
        scope: Scope::Node,
        labels: &[COUNTER],
        most: COUNTERS,
        help: "The kernel's count minus that of tcpress since the agent began, where both are known to the end; 0 at rest",
        samples: |it| reconciled(it, |sums| sums.residual.map(Value::Signed)),
    },
    Metric {
        base: "tcpress_residual_excess",
        unit: None,
        kind: Kind::Counter,
        scope: Scope::Node,
        labels: &[COUNTER],
        most: COUNTERS,
        help: "By how much residuals of single windows and namespaces were more than two readings can be apart; 0 while every count is accounted for",
        samples: |it| reconciled(it, |sums| sums.excess.map(Value::Whole)),
    },
];

/// One series without an owner.
pub(super) fn sample(labels: Vec<Label>, value: Value) -> Sample {
    Sample {
        owner: None,
        labels,
        value,
    }
}

/// One figure, if it is known.
pub(super) fn one(value: Option<Value>) -> Vec<Sample> {
    value
        .map(|value| sample(Vec::new(), value))
        .into_iter()
        .collect()
}

pub(super) fn flag(value: Option<bool>) -> Vec<Sample> {
    one(value.map(|value| Value::Whole(value.into())))
}

fn tcp_mem(figures: &Figures) -> Vec<Sample> {
    let NodeFigures {
        sockstat,
        page_size,
        ..
    } = figures.node;
    let bytes = sockstat.mem.zip(page_size);
    one(bytes.map(|(pages, size)| Value::Whole(pages.saturating_mul(size))))
}

fn tcp_mem_limit(figures: &Figures) -> Vec<Sample> {
    let NodeFigures {
        tcp_mem, page_size, ..
    } = figures.node;
    let Some((marks, size)) = tcp_mem.zip(page_size) else {
        return Vec::new();
    };
    let levels = LEVELS.into_iter().zip(marks);
    levels
        .map(|(level, pages)| {
            let bytes = Value::Whole(pages.saturating_mul(size));
            sample(vec![(LEVEL, level.into())], bytes)
        })
        .collect()
}

fn tcp_sockets(figures: &Figures) -> Vec<Sample> {
    let sockstat = figures.node.sockstat;
    let values = [sockstat.inuse, sockstat.orphan, sockstat.tw, sockstat.alloc];
    let states = SOCKETS.into_iter().zip(values);
    states
        .filter_map(|(state, count)| {
            let labels = vec![(STATE, state.into())];
            Some(sample(labels, Value::Whole(count?)))
        })
        .collect()
}

/// A figure of each counter of the kernel of which it is known.
fn reconciled(figures: &Figures, of: fn(&Reconciled) -> Option<Value>) -> Vec<Sample> {
    let counters = Counter::ALL.into_iter().zip(&figures.reconciled);
    counters
        .filter_map(|(counter, sums)| {
            let labels = vec![(COUNTER, counter.name().into())];
            Some(sample(labels, of(sums)?))
        })
        .collect()
}
