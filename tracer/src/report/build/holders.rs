//! Who holds TCP memory: the scans of sockets by owner, node-wide and within memory cgroups.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use jiff::Timestamp;
use tracer_common::tally::{OVERFLOW_ID, TallyKey, limit};

use crate::{
    aggregate::{
        Delta, Group, Harm, Holding, Movement, group,
        holding::{self, Part},
        movement,
    },
    attribute::{Descriptor, Owner, OwnerKind},
    diagnose::{Account, culprit},
    holders::{Scan, Socket, TcpState},
    indicators::TcpMemory,
    output::text,
    report::{self, Holder, Inputs, MemcgPressure, StateSum, TopSocket, state_name},
};

/// Less time between two looks at sockets does not show whether they are read.
const BETWEEN_LOOKS_NS: u64 = 1_000_000_000;

/// Who has a descriptor of a socket.
pub(super) type Descriptors<'a> = &'a dyn Fn(&Socket) -> Option<Descriptor>;

/// The scan that speaks for the window, by owner.
pub(super) struct Census<'a> {
    pub(super) scan: &'a Scan,
    /// TCP memory of the node beside it.
    pub(super) memory: &'a TcpMemory,
    /// Whether it is an earlier one, because by the end of the window most memory had been freed.
    pub(super) freed: bool,
    /// When the scan was made since which growth is told.
    pub(super) growth_since: Option<Timestamp>,
    /// Holders of at least one byte, most bytes first.
    pub(super) accounts: Vec<Account>,
    /// All sockets together.
    pub(super) total: Part,
}

/// One scan, TCP memory beside it, and what each owner held.
type Look<'a> = (&'a Scan, &'a TcpMemory, BTreeMap<Group, Holding>);

impl<'a> Census<'a> {
    /// From the scans; `None` when none was made. Words on what they could not read go to `gaps`.
    pub(super) fn take(inputs: &Inputs<'a>, gaps: &mut Vec<String>) -> Option<Self> {
        let mut looks = looks(inputs);
        let (at, freed) = speaker(&looks)?;
        if freed {
            gaps.push(
                "holders are those of an earlier time of the window: by its end most memory had been freed"
                    .to_owned(),
            );
        }
        // Growth is a matter of two scans, the first and the one that speaks; where they are one, the first and the last.
        let to = if at == 0 { looks.len() - 1 } else { at };
        let (earlier, later) = looks.split_at_mut(to);
        let first = earlier.first();
        let growth_since = first.and_then(|first| first.0.at);
        let growth = first.map(|first| growth(&first.2, &mut later[0].2));
        let movements = movements(inputs, &looks, at);
        let (scan, memory, mut groups) = looks.swap_remove(at);
        // These were read at the end.
        for (group, holding) in groups.iter_mut().filter(|_| !freed) {
            holding.memory_stat_sock = inputs.memory_stats.get(group).copied();
        }
        for gap in &scan.gaps {
            if !gaps.contains(gap) {
                gaps.push(gap.clone());
            }
        }
        let total = holding::total(&groups);
        if total.unmeasured > 0 {
            gaps.push(format!(
                "holders: the kernel did not tell the memory of {} sockets; their payload stands for it, which is less than they take",
                total.unmeasured
            ));
        }
        let mut accounts: Vec<Account> = groups
            .into_iter()
            .map(|(group, holding)| Account {
                movement: movements
                    .as_ref()
                    .map(|all| all.get(&group).copied().unwrap_or_default()),
                ..account(group, holding, total.held, growth.as_ref())
            })
            .filter(|account| account.held() > 0)
            .collect();
        accounts.sort_by(|a, b| b.held().cmp(&a.held()).then_with(|| a.group.cmp(&b.group)));
        Some(Self {
            scan,
            memory,
            freed,
            growth_since,
            accounts,
            total,
        })
    }

    /// Holders within memory cgroups. Shares stay those of the node; growth is not known for a part.
    pub(super) fn within(&self, inputs: &Inputs<'_>, scope: &Scope) -> Vec<Account> {
        let inside = |socket: &Socket, owner: &Owner| scope.holds(socket.cgroup_id, owner);
        holding::by_group_of(self.scan, inputs.owner_of_socket, inside)
            .into_iter()
            .map(|(group, holding)| account(group, holding, self.total.held, None))
            .collect()
    }
}

fn account(
    group: Group,
    holding: Holding,
    found: u64,
    growth: Option<&BTreeMap<Group, i64>>,
) -> Account {
    Account {
        owner: report::Owner::from(&group::representative(&holding.owners)),
        share: part(holding.total().held, found),
        growth: growth.map(|growth| growth.get(&group).copied().unwrap_or(0)),
        movement: None,
        group,
        holding,
    }
}

/// Every scan that was made, in the order of time.
fn looks<'a>(inputs: &Inputs<'a>) -> Vec<Look<'a>> {
    [
        inputs.scan_start.map(|scan| (scan, inputs.memory_start)),
        inputs.peak,
        inputs.scan_end.map(|scan| (scan, inputs.memory_end)),
    ]
    .into_iter()
    .flatten()
    .map(|(scan, memory)| {
        let groups = holding::by_group(scan, inputs.owner_of_socket);
        (scan, memory, groups)
    })
    .collect()
}

/// Which scan speaks: the last one, unless an earlier one found more than twice as much; then whoever was to blame has been
/// stopped since, or is dead, and the one that found most speaks.
fn speaker(looks: &[Look<'_>]) -> Option<(usize, bool)> {
    let held = |at: usize| holding::total(&looks[at].2).held;
    let last = looks.len().checked_sub(1)?;
    let most = (0..looks.len()).max_by_key(|&at| (held(at), at))?;
    Some(match held(most) / 2 > held(last) {
        true => (most, true),
        false => (last, false),
    })
}

/// Whether what arrives is read, by owner, from the scan that speaks and an earlier one, or else the next; `None` where there are
/// no two looks at sockets with time between them.
fn movements(
    inputs: &Inputs<'_>,
    looks: &[Look<'_>],
    at: usize,
) -> Option<BTreeMap<Group, Movement>> {
    let (first, second) = match at {
        0 => (looks.first()?, looks.get(1)?),
        at => (looks.first()?, looks.get(at)?),
    };
    (inputs.window.duration_ns >= BETWEEN_LOOKS_NS)
        .then(|| movement::by_group(&first.0.sockets, &second.0.sockets, inputs.owner_of_socket))
}

/// Change of held bytes by owner, and, in the later scan, by state. Both scans were made, so an owner that one of them lacks held
/// nothing.
fn growth(
    start: &BTreeMap<Group, Holding>,
    end: &mut BTreeMap<Group, Holding>,
) -> BTreeMap<Group, i64> {
    for (group, holding) in &mut *end {
        holding.grown_since(start.get(group));
    }
    let end = &*end;
    let held = |groups: &BTreeMap<Group, Holding>, group: &Group| {
        let held = groups.get(group).map_or(0, |holding| holding.total().held);
        i64::try_from(held).unwrap_or(i64::MAX)
    };
    let groups: BTreeSet<&Group> = start.keys().chain(end.keys()).collect();
    groups
        .into_iter()
        .map(|group| {
            (
                group.clone(),
                held(end, group).saturating_sub(held(start, group)),
            )
        })
        .collect()
}

/// A part of a whole, to four decimals; `None` of nothing.
pub(super) fn part(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (culprit::ratio(part, whole) * 1e6).round() / 1e6)
}

/// An account as it is printed.
pub(super) fn line(account: &Account, descriptors: Descriptors<'_>) -> Holder {
    let holding = &account.holding;
    let total = holding.total();
    let mut states: Vec<StateSum> = holding.states.iter().map(state_sum).collect();
    states.sort_by_key(|state| Reverse(state.held_bytes));
    let top = holding.top.iter();
    Holder {
        owner: account.owner.clone(),
        held_bytes: total.held,
        share: account.share,
        growth_bytes: account.growth,
        sockets: total.sockets,
        orphans: total.orphans,
        receive_bytes: total.receive,
        send_bytes: total.send,
        forward_bytes: total.forward,
        unread_bytes: total.unread,
        not_accepted_sockets: total.not_accepted,
        not_accepted_bytes: total.not_accepted_held,
        unlisted_sockets: total.unlisted,
        unlisted_bytes: total.unlisted_held,
        memory_stat_sock_bytes: holding.memory_stat_sock,
        netns: holding.netns.iter().map(ToString::to_string).collect(),
        states,
        top_sockets: top
            .map(|socket| top_socket(socket, descriptors(socket)))
            .collect(),
    }
}

fn state_sum((state, part): (&TcpState, &Part)) -> StateSum {
    StateSum {
        state: state_name(*state).into_owned(),
        sockets: part.sockets,
        held_bytes: part.held,
        growth_bytes: part.growth,
        receive_bytes: part.receive,
        send_bytes: part.send,
        forward_bytes: part.forward,
        unread_bytes: part.unread,
        unlisted_sockets: part.unlisted,
        not_accepted_sockets: part.not_accepted,
        idle_ms: part.idle_ms.map(u64::from),
    }
}

fn top_socket(socket: &Socket, descriptor: Option<Descriptor>) -> TopSocket {
    let (netns, local, remote) = socket.ends();
    let listens = socket.state == TcpState::Listen;
    let (pid, command, fd) = match descriptor {
        Some(it) => (Some(it.pid), Some(it.command), Some(it.fd)),
        None => (None, None, None),
    };
    TopSocket {
        local: Some(local.to_string()),
        // A listener has none, and of a dead connection it may not be known any more.
        remote: (!listens && remote.port() != 0).then(|| remote.to_string()),
        state: state_name(socket.state).into_owned(),
        netns: netns.to_string(),
        listed: socket.listed,
        held_bytes: socket.held(),
        unread_bytes: if listens { 0 } else { u64::from(socket.unread) },
        idle_ms: socket.idle_ms.map(u64::from),
        pid,
        command,
        fd,
    }
}

/// Memory cgroups that refused. Where no evidence tells which level of the hierarchy it was, those of the sockets; a pod's limit
/// often stands above its containers, so a container's cgroup stands for its whole pod.
#[derive(Default)]
pub(super) struct Scope {
    cgroups: Vec<(u64, Owner)>,
    /// Whether these are the very ones that had no room.
    told: bool,
}

/// The memory cgroups that refused or pruned within the window.
pub(super) fn memcg_scope(inputs: &Inputs<'_>, pressed: &[MemcgPressure]) -> Scope {
    let mut ids: BTreeMap<u64, TallyKey> = BTreeMap::new();
    // The very cgroups that had no room, where evidence tells them: one above the sockets' own, perhaps.
    let by_memcg = [limit::MEMCG_V2 as u32, limit::MEMCG_V1_TCPMEM as u32];
    for event in inputs.events.iter().filter(|_| inputs.traced) {
        let id = event.compared.memcg_id;
        if by_memcg.contains(&event.limit) && id != 0 {
            let key = TallyKey {
                cgroup_id: id,
                memcg_id: id,
                ..event.owner
            };
            ids.insert(id, key);
        }
    }
    // A full one whose sockets are kept small, where nothing was refused.
    if ids.is_empty() && !inputs.deltas.iter().any(struck) {
        let pressed = pressed.iter().filter(|it| it.keeps_sockets_small());
        for id in pressed.filter_map(|it| it.cgroup_id.parse().ok()) {
            let key = TallyKey {
                cgroup_id: id,
                memcg_id: id,
                ..TallyKey::default()
            };
            ids.insert(id, key);
        }
    }
    let told = !ids.is_empty();
    for delta in inputs.deltas.iter().filter(|_| inputs.traced && !told) {
        let id = delta.key.memcg_id;
        if struck(delta) && id != 0 && id != OVERFLOW_ID {
            ids.insert(
                id,
                TallyKey {
                    cgroup_id: id,
                    ..delta.key
                },
            );
        }
    }
    Scope {
        told,
        cgroups: ids
            .into_iter()
            .map(|(id, key)| (id, (inputs.owner_of_key)(&key)))
            .collect(),
    }
}

/// Whether a memory cgroup refused or pruned.
fn struck(delta: &Delta) -> bool {
    let mut harm = Harm::default();
    harm.add(&delta.value);
    harm.by_memcg() > 0
}

impl Scope {
    /// Whether a socket lies within.
    fn holds(&self, cgroup_id: Option<u64>, owner: &Owner) -> bool {
        self.cgroups.iter().any(|(id, memcg)| {
            let below = owner
                .cgroup_path
                .as_deref()
                .zip(memcg.cgroup_path.as_deref());
            cgroup_id == Some(*id)
                || below.is_some_and(|(path, root)| group::is_within(path, root))
                || (matches!(Group::of(memcg), Group::Pod(_))
                    && Group::of(memcg) == Group::of(owner))
        })
    }

    /// In words; `None` when no cgroup is known.
    pub(super) fn words(&self) -> Option<String> {
        let (id, first) = self.cgroups.first()?;
        let path = match first.kind {
            OwnerKind::Unknown | OwnerKind::Unattributed | OwnerKind::Other => {
                format!("cgroup {id}")
            }
            OwnerKind::Cgroup => format!("cgroup {}", text::name(&report::Owner::from(first).name)),
            _ => format!(
                "the cgroup of {}",
                text::name(&report::Owner::from(first).name)
            ),
        };
        let all = match self.cgroups.len() {
            1 => path,
            n => format!("{path} and {} more", n - 1),
        };
        Some(match self.told {
            true => all,
            false => format!("{all}, or of a cgroup above it,"),
        })
    }
}
