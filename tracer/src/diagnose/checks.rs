//! Three commands that check a verdict by hand, with what they show where it is right.

use super::{case::Case, command, culprit::Accused, kind::Decision, limit};
use crate::{
    holders::TcpState,
    output::size,
    report::{Check, Kind, Leak, Owner},
};

/// How many there are.
const CHECKS: usize = 3;

/// The checks, most telling first; then those that help with any verdict.
#[must_use]
pub fn checks(case: &Case<'_>, decision: &Decision) -> Vec<Check> {
    let mut list = Vec::new();
    let about = decision.about.and_then(|at| case.victims.get(at));
    let suffers = about.or_else(|| case.victims.first());
    let suffers = suffers.map(|it| &it.victim.owner);
    match decision.kind {
        Kind::TcpMemLeak | Kind::OrphanFlood => {
            list.extend(decision.accused.first().and_then(leak));
            list.extend(Some(account(case)));
            list.extend(decision.accused.first().and_then(witness));
            list.extend(suffers.and_then(refused));
        }
        Kind::TcpMemUndersized | Kind::OomAborts => {
            list.push(account(case));
            list.push(out_of_memory());
            list.extend(suffers.and_then(refused));
        }
        Kind::SlowReader | Kind::RcvbufSmall | Kind::OfoGrowth | Kind::Backlog => {
            list.extend(suffers.and_then(queues));
            list.extend(suffers.and_then(refused));
            list.push(account(case));
        }
        Kind::MemcgLimit => {
            let full = case.memcgs.first().map(|it| &it.owner);
            let full = full.or_else(|| decision.accused.first().map(|it| &it.account.owner));
            list.extend(full.and_then(|it| {
                Some(Check {
                    command: format!("cat {}", command::cgroup_file(it, "memory.events")?),
                    expect: "`max` counts up while it lasts".to_owned(),
                })
            }));
            list.extend(decision.accused.first().and_then(witness));
            list.push(account(case));
        }
        Kind::Healthy | Kind::Inconclusive => {
            list.push(account(case));
        }
    }
    list.extend([out_of_memory(), anywhere(), account(case)]);
    let mut seen: Vec<Check> = Vec::new();
    for check in list {
        if seen.len() < CHECKS && !seen.iter().any(|it| it.command == check.command) {
            seen.push(check);
        }
    }
    seen
}

/// The node's account of TCP memory.
fn account(case: &Case<'_>) -> Check {
    let page = case.node.page_size_bytes.max(1);
    let pages = |bytes: u64| size::grouped(bytes / page);
    let expect = match limit::used(case.memory).zip(case.memory.tcp_mem_bytes) {
        Some((used, marks)) => format!(
            "`mem` is pages: about {} when this was measured, and the last number, the limit, is {}",
            pages(used),
            pages(marks.max)
        ),
        None => "`mem` is pages, and the last number is the limit".to_owned(),
    };
    Check {
        command: "cat /proc/net/sockstat /proc/sys/net/ipv4/tcp_mem".to_owned(),
        expect,
    }
}

/// The sockets that are forgotten.
fn leak(accused: &Accused) -> Option<Check> {
    let face = accused.face?;
    let owner = &accused.account.owner;
    let many = size::grouped(face.sockets);
    if accused.leak == Some(Leak::ResetUnread) {
        return Some(Check {
            command: format!("ls -l /proc/{}/fd | grep -c socket:", command::pid(owner)?),
            expect: format!(
                "about {many} more than `ss -tn` lists in its network namespace: these are in no table"
            ),
        });
    }
    let filter = match face.state {
        TcpState::CloseWait => "state close-wait",
        TcpState::Established => "state established",
        TcpState::FinWait1 => "state fin-wait-1",
        TcpState::FinWait2 => "state fin-wait-2",
        TcpState::LastAck => "state last-ack",
        TcpState::Closing => "state closing",
        _ => return None,
    };
    Some(Check {
        command: command::within(
            owner,
            &format!("ss --tcp --numeric --memory --no-header {filter}"),
        )?,
        expect: format!(
            "about {many} sockets, with {} of memory in all",
            size::bytes(face.held)
        ),
    })
}

/// The cgroup's own account of socket memory.
fn witness(accused: &Accused) -> Option<Check> {
    let file = command::cgroup_file(&accused.account.owner, "memory.stat")?;
    Some(Check {
        command: format!("grep '^sock ' {file}"),
        expect: format!("about {} bytes", size::grouped(accused.account.held())),
    })
}

/// The counters of a victim's network namespace.
fn refused(owner: &Owner) -> Option<Check> {
    Some(Check {
        command: command::within(
            owner,
            "nstat -az TcpExtTCPRcvQDrop TcpExtTCPOFODrop TcpExtPruneCalled TcpExtTCPBacklogDrop",
        )?,
        expect: "they count up while it lasts".to_owned(),
    })
}

/// The queues of a victim's sockets.
fn queues(owner: &Owner) -> Option<Check> {
    Some(Check {
        command: command::within(owner, "ss --tcp --numeric --memory --info")?,
        expect: "`Recv-Q` is what its application has not read, `r` of skmem what its queue takes of `rb`".to_owned(),
    })
}

fn out_of_memory() -> Check {
    Check {
        command: "dmesg --time-format iso | grep 'TCP: '".to_owned(),
        expect: "`out of memory` where the kernel ended connections, `too many orphaned sockets` where these were too many".to_owned(),
    }
}

fn anywhere() -> Check {
    Check {
        command: "tcpress report --duration 60s --selfcheck".to_owned(),
        expect: "the same over a longer window, each call compared with the kernel's own counters"
            .to_owned(),
    }
}
