//! TCP memory of the node: the figure that was compared at a refusal goes before sockstat.

use tracer_common::{
    compared::NOT_SEEN,
    tally::{count, limit, queue, slot},
};

use super::{Harms, explained, holders::Census};
use crate::{
    aggregate::{Delta, group},
    indicators,
    report::{
        self, Inputs, TcpMemBytes, TcpMemory,
        inputs::MAX_OWNERS,
        memory::{AllocatedSource, Pressure},
    },
};

/// Limits whose failures compare node-wide memory.
const COMPARED: [usize; 2] = [limit::TCP_MEM_HARD, limit::TCP_MEM_FAIR_SHARE];

/// TCP memory of the node, beside what sockets were found to hold.
pub(super) fn tcp_memory(
    inputs: &Inputs<'_>,
    harms: &Harms,
    census: Option<&Census<'_>>,
) -> TcpMemory {
    let (start, end) = (inputs.memory_start, inputs.memory_end);
    let either = |field: fn(&indicators::TcpMemory) -> Option<u64>| field(end).or(field(start));
    let marks = end.tcp_mem.or(start.tcp_mem);
    let page = if end.page_size > 0 {
        end.page_size
    } else {
        inputs.node.page_size_bytes
    };
    let bytes = |pages: u64| pages.saturating_mul(page);
    let (allocated, max, source) = match compared(inputs) {
        Some((allocated, max)) => (Some(allocated), Some(max), Some(AllocatedSource::Refusal)),
        None => {
            let pages = either(|memory| memory.sockstat_pages);
            (
                pages,
                marks.map(|[_, _, max]| max),
                pages.map(|_| AllocatedSource::Sockstat),
            )
        }
    };
    TcpMemory {
        allocated_bytes: allocated.map(bytes),
        allocated_source: source,
        tcp_mem_bytes: marks.map(|[low, pressure, max]| TcpMemBytes {
            low: bytes(low),
            pressure: bytes(pressure),
            max: bytes(max),
        }),
        fill: allocated
            .zip(max)
            .and_then(|(allocated, max)| super::holders::part(allocated, max)),
        pressure: match (start.pressure, end.pressure) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (a, b) => b.or(a),
        },
        pressures: inputs.traced.then(|| pressures(harms)),
        sockets: either(|memory| memory.alloc),
        orphans: either(|memory| memory.orphan),
        orphans_max: either(|memory| memory.orphan_max),
        found_bytes: census.map(|census| census.total.held),
        found_at: census.and_then(|census| census.scan.at),
        growth_since: census.and_then(|census| census.growth_since),
        explained: census.and_then(|census| explained::explained(inputs, census)),
    }
}

/// Whose sockets changed the state of pressure.
fn pressures(harms: &Harms) -> Vec<Pressure> {
    let mut pressures: Vec<Pressure> = harms
        .values()
        .map(|harm| Pressure {
            owner: report::Owner::from(&group::representative(&harm.owners)),
            entered: harm.counts[count::MEMORY_PRESSURES],
            ended_ms: harm.counts[count::MEMORY_PRESSURES_MS],
        })
        .filter(|pressure| pressure.entered > 0 || pressure.ended_ms > 0)
        .collect();
    pressures.sort_by_key(|pressure| std::cmp::Reverse((pressure.entered, pressure.ended_ms)));
    pressures.truncate(MAX_OWNERS);
    pressures
}

/// The largest pages that were compared with their limit at a failure within the window, and that limit.
fn compared(inputs: &Inputs<'_>) -> Option<(u64, u64)> {
    if !inputs.traced {
        return None;
    }
    let tallies = inputs
        .deltas
        .iter()
        .filter(|delta| failed_by_tcp_mem(delta))
        .map(|delta| {
            (
                delta.value.last_allocated_pages,
                delta.value.last_tcp_mem_max_pages,
            )
        });
    let events = inputs
        .events
        .iter()
        .filter(|event| COMPARED.contains(&(event.limit as usize)))
        .map(|event| {
            (
                event.compared.allocated_pages,
                event.compared.tcp_mem_pages[2],
            )
        })
        .filter(|(allocated, max)| *allocated != NOT_SEEN && *max != NOT_SEEN);
    tallies
        .chain(events)
        .filter(|(allocated, max)| *allocated > 0 && *max > 0)
        .max()
}

/// Whether the window's own failures set the `last_*` fields: an older failure's figure is no news.
fn failed_by_tcp_mem(delta: &Delta) -> bool {
    let value = &delta.value;
    COMPARED.iter().any(|limit| {
        value.prunes[*limit] > 0
            || (0..queue::COUNT).any(|queue| value.verdicts[slot(queue, *limit)] > 0)
    })
}
