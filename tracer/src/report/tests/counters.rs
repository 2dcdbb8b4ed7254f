//! Without probes: counters of network namespaces and scans of sockets alone.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    fixture::{self, Fixture, LEAKY, PAGE, REDIS, WEB},
    golden, incident,
};
use crate::{
    indicators::TcpMemory,
    kernel::plan::Sight,
    report::{Basis, Limit, Report},
};

fn json(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

/// The incident without probes: what counters and sockets tell.
fn no_bpf() -> Fixture {
    let mut node = incident::incident();
    node.traced = false;
    node.plan.probes.clear();
    node.plan.impossible = Some("asked not to trace".into());
    for counter in &mut node.plan.counters {
        counter.sight = Sight::Blind;
        counter.why = Some("nothing is traced".into());
    }
    for row in &mut node.rows {
        row.attributed = None;
        row.bound = None;
    }
    node
}

#[test]
fn counters_alone_name_the_netns_owner_and_the_holder() {
    let report = no_bpf().report();
    golden::check("no-bpf", &report);
    assert_eq!(report.verdict.evidence, Basis::Counters);
    assert_eq!(report.verdict.limit, Some(Limit::TcpMem));
    assert_eq!(
        report.verdict.detail, None,
        "hard or fair share cannot be told"
    );
    assert_eq!(report.victims.len(), 1);
    let victim = &report.victims[0];
    assert_eq!(victim.owner.name, "cache/redis-0");
    assert_eq!(
        (victim.refusals.rcv, victim.refusals.ofo),
        (Some(515), Some(300))
    );
    assert_eq!(victim.refusals_by_limit.unknown, Some(815));
    assert_eq!(report.culprits[0].holder.owner.name, "shop/leaky");
    // Without a refusal that compared it, sockstat tells what is allocated.
    assert_eq!(report.tcp_memory.allocated_bytes, Some(11_900 * 4096));
    assert_eq!(report.tcp_memory.found_bytes, Some(47_400_000 + 400_000));
    assert!(report.evidence.is_empty());

    let json = json(&report);
    for pointer in [
        "/victims/0/refusals/send_rcvq",
        "/victims/0/refusals_by_limit/rcvbuf",
        "/victims/0/stall_ns",
        "/victims/0/forced_admissions",
        "/victims/0/early_exits",
        "/losses/ring_full",
        "/losses/unattributed",
        "/losses/recursion_misses",
        "/reconciliation/0/attributed",
        "/reconciliation/0/residual",
        "/verdict/detail",
    ] {
        assert_eq!(
            json.pointer(pointer),
            Some(&Value::Null),
            "{pointer} is null, neither 0 nor missing"
        );
    }
}

#[test]
fn a_shared_namespace_says_who_shares_it() {
    let mut node = no_bpf();
    node.netns_owners.insert(
        fixture::netns(REDIS),
        BTreeSet::from([node.owners[&WEB].clone()]),
    );
    let report = node.report();
    assert_eq!(
        report.victims[0].owner.kind,
        crate::report::owner::OwnerKind::Unknown
    );
    assert_eq!(
        report.victims[0].owner.name,
        "netns 4026532002, shared by cache/redis-0, shop/web-7"
    );
}

#[test]
fn counters_alone_do_not_blame_an_idle_tcp_mem() {
    let mut node = no_bpf();
    node.memory.pressure = Some(false);
    node.memory.sockstat_pages = Some(1_200);
    node.end
        .as_mut()
        .unwrap()
        .sockets
        .retain(|socket| socket.cgroup_id != Some(LEAKY));
    node.start = None;
    let report = node.report();
    assert_eq!(report.verdict.limit, Some(Limit::Unknown));
    assert!(report.culprits.is_empty());
    assert!(
        report.verdict.summary.contains("tcp_mem is unlikely"),
        "{}",
        report.verdict.summary
    );
}

#[test]
fn what_cannot_be_read_is_null() {
    let mut node = no_bpf();
    node.memory = TcpMemory {
        page_size: PAGE,
        ..TcpMemory::default()
    };
    node.start = None;
    node.end = None;
    for row in &mut node.rows {
        row.kernel = None;
    }
    let report = node.report();
    assert_eq!(report.verdict.limit, None);
    assert!(
        report
            .verdict
            .summary
            .contains("is not known: no counter could be read")
    );
    let json = json(&report);
    for field in [
        "allocated_bytes",
        "allocated_source",
        "tcp_mem_bytes",
        "fill",
        "pressure",
        "sockets",
        "orphans",
        "found_bytes",
    ] {
        assert_eq!(json["tcp_memory"].get(field), Some(&Value::Null), "{field}");
    }
}
