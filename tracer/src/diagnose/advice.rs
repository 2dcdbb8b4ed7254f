//! What is safe to advise, the least harmful first, each with its effect, its cost and its undo. Nothing here can make a
//! sick node sicker: no limit is ever set below present use.

use super::{
    case::Case,
    command,
    culprit::{self, Accused},
    kind::{Decision, MIN_EXPLAINED},
    limit,
    reader::Buffer,
    words,
};
use crate::{
    output::size,
    report::{Advice, Kind, Owner, OwnerKind, context::Reader},
};

/// A limit that is raised gets this much above present use, in percent.
const HEADROOM: u64 = 25;
/// Of the memory that the node has available, no more than one part in this many goes to a limit that is raised.
const AVAILABLE: u64 = 4;
/// Time that a higher limit must gain where somebody leaks; less is not worth the memory.
const WORTH_MS: u64 = 10 * 60 * 1000;
const NANOS_PER_MS: u64 = 1_000_000;

/// Advice for a decision; empty when nothing is safe, or nothing is to be done.
#[must_use]
pub fn advice(case: &Case<'_>, decision: &Decision) -> Vec<Advice> {
    let mut list = Vec::new();
    match decision.kind {
        Kind::TcpMemLeak => {
            let gains = |it: &Advice| it.full_again_ms.is_none_or(|ms| ms >= WORTH_MS);
            list.extend(raise_tcp_mem(case).filter(gains));
            for accused in &decision.accused {
                list.extend(restart(case, accused));
                list.extend(delete(case, accused));
            }
            list.push(end_no_sockets());
            list.extend(keep_tcp_mem(case));
        }
        Kind::OrphanFlood => {
            list.extend(decision.accused.first().map(wait_for_orphans));
            list.extend(raise_tcp_mem(case));
            list.extend(keep_tcp_mem(case));
        }
        Kind::TcpMemUndersized | Kind::OomAborts => {
            list.extend(raise_tcp_mem(case));
            list.push(move_load(case));
            list.extend(keep_tcp_mem(case));
        }
        Kind::SlowReader => {
            list.push(look_at_reader(decision.reader));
            list.extend(
                decision
                    .accused
                    .first()
                    .and_then(|it| restart_reader(case, it)),
            );
        }
        Kind::RcvbufSmall => list.extend(raise_rcvbuf(case, decision)),
        Kind::OfoGrowth => list.push(look_at_path()),
        Kind::Backlog => list.push(look_at_busy()),
        Kind::MemcgLimit => {
            list.extend(raise_memory_max(case));
            list.push(keep_memory_max());
        }
        Kind::Inconclusive => {
            list.extend(count_descriptors(case));
            list.push(look_longer(case));
            list.extend(
                keep_tcp_mem(case).filter(|_| limit::is_pressed(case.memory) == Some(true)),
            );
        }
        Kind::Healthy => {}
    }
    list
}

/// An action that has no figures.
fn plain(action: &str, effect: &str, affected: &str) -> Advice {
    Advice {
        action: action.to_owned(),
        effect: effect.to_owned(),
        affected: affected.to_owned(),
        cost: "None.".to_owned(),
        risk: "None.".to_owned(),
        undo: "None needed.".to_owned(),
        ..Advice::default()
    }
}

/// Time until a room is full at a growth within the window.
fn time_to_fill(case: &Case<'_>, room: u64, growth: Option<i64>) -> Option<u64> {
    let growth = u64::try_from(growth?).ok().filter(|it| *it > 0)?;
    let ms = u128::from(room) * u128::from(case.window_ns) / u128::from(growth);
    u64::try_from(ms / u128::from(NANOS_PER_MS)).ok()
}

/// Change of all that sockets hold within the window.
fn growth(case: &Case<'_>) -> Option<i64> {
    let accounts = case.accounts?.iter();
    accounts
        .map(|account| account.growth)
        .try_fold(0, |sum: i64, growth| Some(sum.saturating_add(growth?)))
}

/// A higher limit gives time, where the node has the memory for it. It hits nobody, so it goes first.
fn raise_tcp_mem(case: &Case<'_>) -> Option<Advice> {
    let used = limit::used(case.memory)?;
    let marks = case.memory.tcp_mem_bytes?;
    let available = case.node.memory_available_bytes?;
    let page = case.node.page_size_bytes.max(1);
    let max = used.max(marks.max).saturating_mul(100 + HEADROOM) / 100 / page * page;
    let more = max - marks.max.min(max);
    if more == 0 || more > available / AVAILABLE {
        return None;
    }
    // The other marks rise by as much, so that pressure begins as far from the limit as before.
    let pages = [
        marks.low.saturating_add(more),
        marks.pressure.saturating_add(more),
        max,
    ]
    .map(|bytes| bytes / page);
    let set = |[low, pressure, max]: [u64; 3]| {
        format!("sysctl -w net.ipv4.tcp_mem=\"{low} {pressure} {max}\"")
    };
    let old = [marks.low, marks.pressure, marks.max].map(|bytes| bytes / page);
    Some(Advice {
        action: format!(
            "Raise net.ipv4.tcp_mem to {} to gain time.",
            size::bytes(max)
        ),
        command: Some(set(pages)),
        effect: "Segments are admitted again at once; it cures no leak.".to_owned(),
        frees_bytes: Some(0),
        predicted_fill: Some(round(culprit::ratio(used, max))),
        affected: "Nobody.".to_owned(),
        full_again_ms: time_to_fill(case, max - used, growth(case)),
        cost: format!("Up to {} more of the node's memory.", size::bytes(more)),
        risk: format!(
            "Memory of sockets cannot be reclaimed: {} of the {} that the node has available may go.",
            size::bytes(more),
            size::bytes(available)
        ),
        undo: format!("{} once use is below it.", set(old)),
    })
}

/// The least that ends what an owner holds: one container, one unit, one process.
fn restart(case: &Case<'_>, accused: &Accused) -> Option<Advice> {
    let owner = &accused.account.owner;
    let command = command::restart(owner)?;
    let who = words::name(owner);
    let what = match owner.kind {
        OwnerKind::Pod => format!("Stop the container of {who}; the kubelet starts it anew."),
        OwnerKind::Container => format!("Restart {who}."),
        OwnerKind::SystemdUnit => format!("Restart the unit {who}."),
        _ => format!("End the process {who}."),
    };
    Some(ending(case, accused, what, command))
}

/// Ends a pod as a whole.
fn delete(case: &Case<'_>, accused: &Accused) -> Option<Advice> {
    let owner = &accused.account.owner;
    let command = command::delete_pod(owner)?;
    let who = words::name(owner);
    let what = format!("Delete the pod {who}; its controller makes another one.");
    Some(Advice {
        cost: "The evidence within it is lost, and its address changes.".to_owned(),
        ..ending(case, accused, what, command)
    })
}

/// Ends a reader that hangs; it does little for the node.
fn restart_reader(case: &Case<'_>, accused: &Accused) -> Option<Advice> {
    let advice = restart(case, accused)?;
    Some(Advice {
        effect: "Its queues are empty at once; it helps where it hangs, not where it is slow."
            .to_owned(),
        predicted_fill: None,
        full_again_ms: None,
        ..advice
    })
}

fn ending(case: &Case<'_>, accused: &Accused, action: String, command: String) -> Advice {
    let account = &accused.account;
    let held = account.held();
    let used = limit::used(case.memory);
    let max = case.memory.tcp_mem_bytes.map(|marks| marks.max);
    let left = used.map(|used| used.saturating_sub(held));
    let sockets = account.holding.total().sockets;
    let forgotten = accused.face.filter(|face| face.leak().is_some());
    let forgotten = forgotten.map_or_else(String::new, |face| {
        format!(", {} of them forgotten ones", size::grouped(face.sockets))
    });
    Advice {
        action: format!("Save this report. {action}"),
        command: Some(command),
        effect: format!("Frees up to {} of TCP memory at once.", size::bytes(held)),
        frees_bytes: Some(held),
        predicted_fill: left
            .zip(max)
            .map(|(left, max)| round(culprit::ratio(left, max))),
        affected: format!(
            "{}: it loses {}{forgotten}.",
            words::name(&account.owner),
            size::count(sockets, "socket"),
        ),
        full_again_ms: left
            .zip(max)
            .and_then(|(left, max)| time_to_fill(case, max.saturating_sub(left), account.growth)),
        cost: "The evidence within it is lost.".to_owned(),
        risk: "The cause is still in it: it fills again as before.".to_owned(),
        undo: "It runs again by itself.".to_owned(),
    }
}

fn wait_for_orphans(accused: &Accused) -> Advice {
    let who = words::name(&accused.account.owner);
    Advice {
        effect: "The kernel ends each orphan after net.ipv4.tcp_orphan_retries by itself; a peer that takes the rest ends it sooner.".to_owned(),
        ..plain(
            &format!("See why the peers of {who} do not take what it sent before it closed."),
            "",
            "Nobody.",
        )
    }
}

fn keep_tcp_mem(case: &Case<'_>) -> Option<Advice> {
    let used = limit::used(case.memory)?;
    Some(plain(
        &format!(
            "Keep net.ipv4.tcp_mem above present use ({}).",
            size::bytes(used)
        ),
        "A lower limit would refuse segments of every workload on the node.",
        "Nobody.",
    ))
}

/// Ending connections looks like a cure: `tcp_abort` empties the send queue, and what was received stays with the descriptor.
fn end_no_sockets() -> Advice {
    plain(
        "Do not end the sockets with `ss -K`.",
        "What was received stays allocated until the application closes its descriptor; the sockets only vanish from every table.",
        "Nobody.",
    )
}

fn move_load(case: &Case<'_>) -> Advice {
    let node = case.node.k8s_node_name.as_deref().and_then(command::word);
    Advice {
        command: node.map(|node| format!("kubectl cordon {node}")),
        cost: "The node takes no new pods.".to_owned(),
        undo: "kubectl uncordon the node.".to_owned(),
        ..plain(
            "Send no more pods to this node, and move some of the largest holders away.",
            "Their sockets are closed, and what they hold is free again.",
            "Pods that are moved.",
        )
    }
}

fn look_at_reader(reader: Option<Reader>) -> Advice {
    let (action, effect) = match reader {
        Some(Reader::Cpu) => (
            "Give the application more CPU, or less to do.",
            "A reader that gets a processor keeps up.",
        ),
        Some(Reader::Memory) => (
            "Give the application more memory.",
            "A reader that does not wait for reclaim keeps up.",
        ),
        Some(Reader::Io) => (
            "See which device or file the application waits for.",
            "A reader that does not wait for IO keeps up.",
        ),
        Some(Reader::Locks) => (
            "See who holds the lock that the reading thread waits for.",
            "A reader that gets its lock keeps up.",
        ),
        Some(Reader::Idle) => (
            "See in the application why it does not read: its threads sleep by their own will.",
            "A reader that reads needs no larger buffer.",
        ),
        Some(Reader::Unknown) | None => (
            "See why the application does not keep up (CPU, locks, IO, a hang).",
            "A reader that keeps up needs no larger buffer.",
        ),
    };
    plain(action, effect, "Nobody.")
}

fn raise_rcvbuf(case: &Case<'_>, decision: &Decision) -> Option<Advice> {
    let victim = decision.about.and_then(|at| case.victims.get(at))?;
    let buffer = Buffer::of(victim, case.evidence, case.scan);
    let owner: &Owner = &victim.victim.owner;
    let twice = buffer.rcvbuf.map(|it| it.saturating_mul(2));
    let to = twice.map_or_else(String::new, |it| format!(" to {} or more", size::bytes(it)));
    Some(Advice {
        command: twice.and_then(|it| {
            command::within(owner, &format!("sysctl -w net.ipv4.tcp_rmem=\"4096 131072 {it}\""))
        }),
        cost: "Each connection may hold more of the node's TCP memory.".to_owned(),
        risk: "It does nothing where the application sets SO_RCVBUF by itself: then that is to be raised.".to_owned(),
        undo: "Set the old value again.".to_owned(),
        ..plain(
            &format!("Raise the receive buffers of {}{to}.", words::name(owner)),
            "What arrives in a burst finds room until it is read.",
            "New connections in its network namespace.",
        )
    })
}

fn look_at_path() -> Advice {
    plain(
        "Look for loss or reordering between the victim and its peers (interfaces, conntrack, the fabric).",
        "Segments that arrive in order need no room beside the receive queue.",
        "Nobody.",
    )
}

fn look_at_busy() -> Advice {
    plain(
        "See what keeps the sockets in use: very large reads or writes, or a thread that is not scheduled within one.",
        "A socket that is not in use takes segments at once.",
        "Nobody.",
    )
}

/// A higher limit of the cgroup that is full.
fn raise_memory_max(case: &Case<'_>) -> Option<Advice> {
    let full = case.memcgs.iter().find(|it| it.max_bytes.is_some())?;
    let (usage, old) = full.usage_bytes.zip(full.max_bytes)?;
    let available = case.node.memory_available_bytes?;
    let max = usage.max(old).saturating_mul(100 + HEADROOM) / 100;
    if max - old > available / AVAILABLE {
        return None;
    }
    let file = command::cgroup_file(&full.owner, "memory.max")?;
    Some(Advice {
        command: Some(format!("echo {max} > {file}")),
        frees_bytes: Some(0),
        cost: format!("Up to {} more of the node's memory.", size::bytes(max - old)),
        risk: "The kubelet sets it back when the pod changes; the limit in its specification is what lasts.".to_owned(),
        undo: format!("echo {old} > {file} once its memory.current is below it."),
        ..plain(
            &format!(
                "Raise the memory limit of {} from {} to {}.",
                words::name(&full.owner),
                size::bytes(old),
                size::bytes(max)
            ),
            "Its sockets get memory again.",
            "Nobody.",
        )
    })
}

fn keep_memory_max() -> Advice {
    plain(
        "Keep memory.max of the cgroup above its memory.current.",
        "A lower limit would refuse more, and may end its processes.",
        "Nobody.",
    )
}

/// How to find a holder that no scan could find: a socket that is forgotten is a descriptor that is open.
fn count_descriptors(case: &Case<'_>) -> Option<Advice> {
    limit::explained_with_reserve(case.memory).filter(|part| *part < MIN_EXPLAINED)?;
    let loop_over = "for p in /proc/[0-9]*; do echo $(ls -l $p/fd 2>/dev/null | grep -c socket:) $p $(cat $p/comm); done | sort -rn | head";
    Some(Advice {
        command: Some(loop_over.to_owned()),
        ..plain(
            "Count the sockets that each process has open, as root in the host's own PID namespace.",
            "A process with very many is the likely holder of what is not explained.",
            "Nobody.",
        )
    })
}

/// What to run next where not enough is known.
fn look_longer(case: &Case<'_>) -> Advice {
    let (action, command) = if !case.traced {
        (
            "Trace with probes, as root.",
            "tcpress report --duration 60s",
        )
    } else {
        (
            "Watch for longer, while it happens.",
            "tcpress report --duration 60s --selfcheck",
        )
    };
    Advice {
        command: Some(command.to_owned()),
        ..plain(action, "More is seen.", "Nobody.")
    }
}

/// A ratio with six decimals.
fn round(ratio: f64) -> f64 {
    (ratio * 1e6).round() / 1e6
}
