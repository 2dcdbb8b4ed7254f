//! Who holds TCP memory: the scans of sockets by owner, node-wide and within memory cgroups.

use std::collections::{BTreeMap, BTreeSet};

use tracer_common::tally::{OVERFLOW_ID, TallyKey, limit};

use crate::{
    aggregate::{Group, Harm, Holding, group, holding},
    attribute::{Owner, OwnerKind},
    diagnose::{Account, culprit},
    holders::Scan,
    output::text,
    report::{self, Holder, Inputs, StateSum, state_name},
};

/// The scan that speaks for the window, by owner.
pub(super) struct Census<'a> {
    scan: &'a Scan,
    /// Holders of at least one byte, most bytes first.
    pub(super) accounts: Vec<Account>,
    /// Bytes that all of them hold.
    pub(super) found: u64,
}

impl<'a> Census<'a> {
    /// From the scans; `None` when none was made. Words on what they could not read go to `gaps`.
    pub(super) fn take(inputs: &Inputs<'a>, gaps: &mut Vec<String>) -> Option<Self> {
        let sum = |scan: &Scan| holding::by_group(&scan.sockets, inputs.owner_of_socket);
        let start = inputs.scan_start.map(|scan| (scan, sum(scan)));
        let end = inputs.scan_end.map(|scan| (scan, sum(scan)));
        // Growth is a matter of two scans, whichever of them speaks.
        let growth = start
            .as_ref()
            .zip(end.as_ref())
            .map(|((_, a), (_, b))| growth(a, b));
        let (scan, groups) = match (start, end) {
            (Some(start), Some(end)) if holding::found(&start.1) / 2 > holding::found(&end.1) => {
                gaps.push(
                    "holders are those at the start of the window: by its end most memory had been freed"
                        .to_owned(),
                );
                start
            }
            (start, end) => end.or(start)?,
        };
        for gap in &scan.gaps {
            if !gaps.contains(gap) {
                gaps.push(gap.clone());
            }
        }
        let found = holding::found(&groups);
        let unmeasured: u64 = groups
            .values()
            .map(|holding| holding.total().unmeasured)
            .sum();
        if unmeasured > 0 {
            gaps.push(format!(
                "holders: the kernel did not tell the memory of {unmeasured} sockets; their payload stands for it, which is less than they take"
            ));
        }
        let mut accounts: Vec<Account> = groups
            .into_iter()
            .map(|(group, holding)| account(group, holding, found, growth.as_ref()))
            .filter(|account| account.held() > 0)
            .collect();
        accounts.sort_by(|a, b| b.held().cmp(&a.held()).then_with(|| a.group.cmp(&b.group)));
        Some(Self {
            scan,
            accounts,
            found,
        })
    }

    /// By group, for those who ask for one.
    pub(super) fn by_group(&self) -> BTreeMap<Group, Account> {
        self.accounts
            .iter()
            .map(|account| (account.group.clone(), account.clone()))
            .collect()
    }

    /// Holders within memory cgroups. Shares stay those of the node; growth is not known for a part.
    pub(super) fn within(&self, inputs: &Inputs<'_>, scope: &Scope) -> Vec<Account> {
        let inside = self
            .scan
            .sockets
            .iter()
            .filter(|socket| scope.holds(socket.cgroup_id, &(inputs.owner_of_socket)(socket)));
        holding::by_group(inside, inputs.owner_of_socket)
            .into_iter()
            .map(|(group, holding)| account(group, holding, self.found, None))
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
        group,
        holding,
    }
}

/// Change of held bytes by owner. Both scans were made, so an owner that one of them lacks held nothing.
fn growth(
    start: &BTreeMap<Group, Holding>,
    end: &BTreeMap<Group, Holding>,
) -> BTreeMap<Group, i64> {
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

impl From<&Account> for Holder {
    fn from(account: &Account) -> Self {
        let total = account.holding.total();
        let mut states: Vec<StateSum> = account
            .holding
            .states
            .iter()
            .map(|(state, part)| StateSum {
                state: state_name(*state).into_owned(),
                sockets: part.sockets,
                held_bytes: part.held,
            })
            .collect();
        states.sort_by_key(|state| std::cmp::Reverse(state.held_bytes));
        Self {
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
            states,
        }
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
pub(super) fn memcg_scope(inputs: &Inputs<'_>) -> Scope {
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
    let told = !ids.is_empty();
    for delta in inputs.deltas.iter().filter(|_| inputs.traced && !told) {
        let mut harm = Harm::default();
        harm.add(&delta.value);
        let id = delta.key.memcg_id;
        let struck = harm.by_memcg() > 0;
        if struck && id != 0 && id != OVERFLOW_ID {
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
            OwnerKind::Unknown | OwnerKind::Unattributed => format!("cgroup {id}"),
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
