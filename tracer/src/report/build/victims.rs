//! Who suffered: by tallies where kernel programs counted, else by the counters of network namespaces.

use std::collections::{BTreeMap, BTreeSet};

use tracer_common::tally::{count, limit, queue};

use super::Harms;
use crate::{
    aggregate::{Group, Harm, group, harm, stall},
    attribute::{Owner, OwnerKind},
    diagnose::Sufferer,
    indicators::Counter,
    kernel::plan::Sight,
    report::{
        self, Inputs, Limit, Refusals, RefusalsByDetail, RefusalsByLimit, StallBucket, Uncounted,
        Victim, VictimSocket, evidence, inputs::MAX_SOCKETS,
    },
};

/// Counters of the node's state, which is no harm of itself.
const PRESSURE: [Counter; 2] = [
    Counter::TCPMemoryPressures,
    Counter::TCPMemoryPressuresChrono,
];

/// Most sharers that the name of a network namespace lists.
const MAX_SHARERS: usize = 4;

/// Victims by tallies.
pub(super) fn by_probes(inputs: &Inputs<'_>, harms: &Harms) -> Vec<Sufferer> {
    let mut sockets = sockets(inputs);
    harms
        .iter()
        .filter(|(_, harm)| harm.any())
        .map(|(group, harm)| {
            let mut victim = victim(inputs, harm);
            victim.sockets = sockets.remove(group).unwrap_or_default();
            Sufferer {
                group: group.clone(),
                victim,
                harm: Some(harm.clone()),
            }
        })
        .collect()
}

/// One victim's line. What this kernel does not let us see is null: a tally of 0 would be a lie.
fn victim(inputs: &Inputs<'_>, harm: &Harm) -> Victim {
    let seen = |counter: Counter, count: u64| {
        let blind = |sight: &&crate::kernel::plan::CounterSight| {
            sight.counter == counter && sight.sight == Sight::Blind
        };
        inputs
            .plan
            .counters
            .iter()
            .find(blind)
            .is_none()
            .then_some(count)
    };
    let of = |queue: usize| {
        harm.verdicts[queue]
            .iter()
            .copied()
            .fold(0, u64::saturating_add)
    };
    let refusals = harm.refusals();
    let collapse = inputs.plan.attaches("tcp_collapse");
    Victim {
        owner: report::Owner::from(&group::representative(&harm.owners)),
        refusals: Refusals {
            rcv: seen(Counter::TCPRcvQDrop, of(queue::RCV)),
            ofo: seen(Counter::TCPOFODrop, of(queue::OFO)),
            send_rcvq: seen(Counter::TCPRcvQDrop, of(queue::SEND_RCVQ)),
        },
        refusals_by_limit: by_limit(&refusals),
        refusals_by_detail: RefusalsByDetail {
            hard: Some(refusals[limit::TCP_MEM_HARD]),
            fair_share: Some(refusals[limit::TCP_MEM_FAIR_SHARE]),
            v2: Some(refusals[limit::MEMCG_V2]),
            v1_tcpmem: Some(refusals[limit::MEMCG_V1_TCPMEM]),
        },
        prunes_by_limit: by_limit(&harm.prunes),
        forced_admissions: Some(of(queue::FORCED)),
        early_exits: Some(harm.early_exits),
        prunes: seen(
            Counter::PruneCalled,
            harm.prunes.iter().copied().fold(0, u64::saturating_add),
        ),
        rcv_pruned: seen(Counter::RcvPruned, harm.rcv_pruned),
        ofo_prunes: seen(Counter::OfoPruned, harm.ofo_pruned),
        collapsed_skbs: seen(Counter::TCPRcvCollapsed, harm.collapsed),
        zero_window_drops: seen(
            Counter::TCPZeroWindowDrop,
            harm.counts[count::ZERO_WINDOW_DROPS],
        ),
        backlog_drops: seen(Counter::TCPBacklogDrop, harm.counts[count::BACKLOG_DROPS]),
        aborts_on_memory: seen(
            Counter::TCPAbortOnMemory,
            harm.counts[count::ABORTS_ON_MEMORY],
        ),
        listen_drops: seen(Counter::ListenDrops, harm.counts[count::LISTEN_DROPS]),
        ofo_pruned_skbs: seen(Counter::OfoPruned, harm.counts[count::OFO_PRUNED_SKBS]),
        ofo_pruned_bytes: seen(Counter::OfoPruned, harm.counts[count::OFO_PRUNED_BYTES]),
        uncounted: Some(Uncounted {
            // The hook that tells why an skb is dropped tells of these too.
            ofo_covered_skbs: inputs
                .plan
                .attaches("kfree_skb")
                .then_some(harm.counts[count::OFO_COVERED_SKBS]),
            destroyed_bytes: inputs
                .plan
                .attaches("tcp_destroy_sock")
                .then_some(harm.counts[count::DESTROYED_BYTES]),
        }),
        stall_ns: Some(harm.stall_ns),
        stall_percentiles: stall::percentiles(&harm.stalls).map(Into::into),
        stall_buckets: StallBucket::of(&harm.stalls),
        collapse_ns: collapse.then_some(harm.collapse_ns),
        collapse_percentiles: collapse
            .then(|| stall::percentiles(&harm.collapses).map(Into::into))
            .flatten(),
        netns: harm.netns.iter().map(ToString::to_string).collect(),
        sockets: Vec::new(),
        context: None,
    }
}

/// Counts of single limits by limit as people name them.
fn by_limit(counts: &[u64; limit::COUNT]) -> RefusalsByLimit {
    let both = |a: usize, b: usize| Some(counts[a].saturating_add(counts[b]));
    RefusalsByLimit {
        rcvbuf: Some(counts[limit::RCVBUF]),
        tcp_mem: both(limit::TCP_MEM_HARD, limit::TCP_MEM_FAIR_SHARE),
        memcg: both(limit::MEMCG_V2, limit::MEMCG_V1_TCPMEM),
        unknown: Some(counts[limit::UNKNOWN]),
    }
}

/// The worst sockets of each group.
fn sockets(inputs: &Inputs<'_>) -> BTreeMap<Group, Vec<VictimSocket>> {
    let mut groups: BTreeMap<Group, Vec<VictimSocket>> = BTreeMap::new();
    for (cookie, state) in inputs.socket_states {
        let refusals = [queue::RCV, queue::OFO, queue::SEND_RCVQ]
            .iter()
            .map(|queue| state.verdicts[*queue])
            .fold(0, u64::saturating_add);
        if refusals == 0 && state.prunes == 0 && state.counts == [0; count::PER_SOCKET] {
            continue;
        }
        let (local, remote) = evidence::addresses(&state.tuple);
        let owner = harm::owner_of(&state.owner, inputs.owner_of_key);
        groups
            .entry(Group::of(&owner))
            .or_default()
            .push(VictimSocket {
                local,
                remote,
                cookie: (*cookie != 0).then(|| cookie.to_string()),
                refusals,
                prunes: state.prunes,
                zero_window_drops: state.counts[count::ZERO_WINDOW_DROPS],
                backlog_drops: state.counts[count::BACKLOG_DROPS],
                limit: Limit::from_number(state.last_limit as usize),
            });
    }
    for sockets in groups.values_mut() {
        sockets.sort_by(|a, b| {
            let weight = (b.refusals, b.prunes).cmp(&(a.refusals, a.prunes));
            weight.then_with(|| a.cookie.cmp(&b.cookie))
        });
        sockets.truncate(MAX_SOCKETS);
    }
    groups
}

/// Victims by counters: one per network namespace whose counters moved.
pub(super) fn by_counters(inputs: &Inputs<'_>) -> Vec<Sufferer> {
    let mut netns: BTreeMap<u32, BTreeMap<Counter, u64>> = BTreeMap::new();
    for row in inputs.rows {
        if let Some(kernel) = row.kernel {
            netns
                .entry(row.netns_inum)
                .or_default()
                .insert(row.counter, kernel);
        }
    }
    let owners = owners_by_netns(inputs);
    netns
        .into_iter()
        .filter(|(_, counters)| {
            // Whose allocation puts the node under pressure suffers nothing by that.
            let mut harms = counters
                .iter()
                .filter(|(counter, _)| !PRESSURE.contains(counter));
            harms.any(|(_, count)| *count > 0)
        })
        .map(|(inum, counters)| {
            let owner = resident(inum, owners.get(&inum));
            let count = |counter: Counter| counters.get(&counter).copied();
            let refusals = Refusals {
                rcv: count(Counter::TCPRcvQDrop),
                ofo: count(Counter::TCPOFODrop),
                send_rcvq: None,
            };
            let known = refusals.rcv.is_some() || refusals.ofo.is_some();
            let victim = Victim {
                refusals,
                refusals_by_limit: RefusalsByLimit {
                    unknown: known.then_some(refusals.total()),
                    ..RefusalsByLimit::default()
                },
                prunes: count(Counter::PruneCalled),
                rcv_pruned: count(Counter::RcvPruned),
                ofo_prunes: count(Counter::OfoPruned),
                collapsed_skbs: count(Counter::TCPRcvCollapsed),
                zero_window_drops: count(Counter::TCPZeroWindowDrop),
                backlog_drops: count(Counter::TCPBacklogDrop),
                aborts_on_memory: count(Counter::TCPAbortOnMemory),
                listen_drops: count(Counter::ListenDrops),
                netns: vec![inum.to_string()],
                owner: owner.1,
                ..Victim::default()
            };
            Sufferer {
                group: owner.0,
                victim,
                harm: None,
            }
        })
        .collect()
}

/// Who lives in each network namespace: those who were said to, and owners of sockets.
fn owners_by_netns(inputs: &Inputs<'_>) -> BTreeMap<u32, BTreeMap<Group, BTreeSet<Owner>>> {
    let mut netns: BTreeMap<u32, BTreeMap<Group, BTreeSet<Owner>>> = BTreeMap::new();
    let mut lives = |inum: u32, owner: Owner| {
        let groups = netns.entry(inum).or_default();
        groups.entry(Group::of(&owner)).or_default().insert(owner);
    };
    for (inum, owners) in inputs.netns_owners {
        for owner in owners {
            lives(*inum, owner.clone());
        }
    }
    for scan in [inputs.scan_start, inputs.scan_end].into_iter().flatten() {
        for socket in scan.examples() {
            lives(socket.netns_inum, (inputs.owner_of_socket)(socket));
        }
    }
    netns
}

/// The owner of a namespace's counters: the one who lives there, else the namespace with who shares it.
fn resident(
    inum: u32,
    owners: Option<&BTreeMap<Group, BTreeSet<Owner>>>,
) -> (Group, report::Owner) {
    let named: Vec<(&Group, Owner)> = owners
        .into_iter()
        .flatten()
        .map(|(group, members)| (group, group::representative(members)))
        .filter(|(_, owner)| !matches!(owner.kind, OwnerKind::Kernel | OwnerKind::Unknown))
        .collect();
    if let [(group, owner)] = named.as_slice() {
        return ((*group).clone(), report::Owner::from(owner));
    }
    let mut names: Vec<String> = named
        .iter()
        .take(MAX_SHARERS)
        .map(|(_, owner)| report::Owner::from(owner).name)
        .collect();
    if named.len() > MAX_SHARERS {
        names.push(format!("{} more", named.len() - MAX_SHARERS));
    }
    let shared = if names.is_empty() {
        String::new()
    } else {
        format!(", shared by {}", names.join(", "))
    };
    // Each namespace is a victim of its own: the group must not join two of them.
    let stand_in = Owner {
        cgroup_path: Some(format!("netns:{inum}")),
        ..Owner::of_kind(OwnerKind::Unknown)
    };
    let owner = report::Owner {
        name: format!("netns {inum}{shared}"),
        ..report::Owner::default()
    };
    (Group::Owner(Box::new(stand_in)), owner)
}
