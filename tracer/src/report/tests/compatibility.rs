//! What the outside may rely on: names that stay, documents of other versions that can be read.

use serde_json::{Value, json};
use tracer_common::lost;

use super::{fixture, golden, incident};
use crate::{
    output::events,
    report::{Evidence, Limit, Report, owner::OwnerKind},
};

#[test]
fn a_smaller_document_can_be_read() {
    let old = json!({
        "schema": "tcpress.report/v1",
        "tcpress": "0.0.1",
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:10Z", "duration_ns": 1},
        "node": {"kernel": "5.10"},
        "verdict": {"limit": "tcp_mem", "evidence": "probes", "summary": "s"},
        "victims": [{"owner": {"kind": "pod", "name": "a/b"}, "refusals": {"rcv": 1, "ofo": 2, "send_rcvq": 0}}],
        "culprits": [{"owner": {"kind": "pod", "name": "c/d"}, "held_bytes": 5, "share": 0.5}],
    });
    let report: Report = serde_json::from_value(old).unwrap();
    assert_eq!(report.victims[0].refused(), 3);
    assert_eq!(report.victims[0].stall_ns, None, "absent is not zero");
    assert_eq!(report.culprits[0].holder.held_bytes, 5);
    assert_eq!(report.losses.ring_full, None);
    assert_eq!(report.attribution.unknown_refusals, None);
    assert_eq!(report.tcp_memory.fill, None);
}

#[test]
fn a_document_of_a_later_version_can_be_read() {
    let mut value = serde_json::to_value(incident::incident().report()).unwrap();
    value["news"] = json!({"a": 1});
    value["verdict"]["limit"] = json!("a_new_limit");
    value["victims"][0]["owner"]["kind"] = json!("a_new_kind");
    value["victims"][0]["owner"]["k8s.label.x"] = json!("y");
    value["victims"][0]["owner"]["sources"]["k8s.pod.name"] = json!("a_new_source");
    let report: Report = serde_json::from_value(value).unwrap();
    assert_eq!(report.verdict.limit, Some(Limit::Unknown));
    assert_eq!(report.victims[0].owner.kind, OwnerKind::Unknown);
}

#[test]
fn a_document_without_its_core_is_refused() {
    assert!(serde_json::from_str::<Report>("{}").is_err());
    assert!(serde_json::from_str::<Report>(r#"{"schema":"tcpress.report/v1"}"#).is_err());
}

#[test]
fn names_and_kinds_of_values_stay() {
    let value = serde_json::to_value(incident::incident().report()).unwrap();
    for name in [
        "schema",
        "tcpress",
        "window",
        "node",
        "plan",
        "verdict",
        "tcp_memory",
        "victims",
        "culprits",
        "holders",
        "reconciliation",
        "losses",
        "evidence",
    ] {
        assert!(value.get(name).is_some(), "{name}");
    }
    for name in lost::NAMES {
        assert!(value["losses"][name].is_u64(), "{name}");
    }
    let row = value["reconciliation"][0].as_object().unwrap();
    assert!(
        row.values()
            .all(|cell| !cell.is_object() && !cell.is_array()),
        "rows are flat"
    );
    assert!(row["netns"].is_string());
    let culprit = &value["culprits"][0];
    assert_eq!(culprit["owner"]["k8s.namespace.name"], "shop");
    assert_eq!(culprit["owner"]["k8s.pod.name"], "leaky");
    assert_eq!(culprit["owner"]["kind"], "pod");
    assert_eq!(culprit["owner"]["source"], "pod_logs");
    assert_eq!(culprit["owner"]["cgroup.id"], "101", "ids are strings");
    assert_eq!(
        culprit["owner"]["container.id"],
        "a".repeat(64),
        "just one container"
    );
    let redis = &value["victims"][1]["owner"];
    assert_eq!(redis["k8s.pod.name"], "redis-0");
    assert_eq!(redis["k8s.workload"], "redis");
    assert_eq!(redis["k8s.statefulset.name"], "redis");
    assert_eq!(
        redis["contact"],
        json!([{"key": "team", "value": "storage"}])
    );
    assert_eq!(redis["sources"]["k8s.pod.uid"], "cgroup_path");
    assert_eq!(redis["sources"]["k8s.pod.name"], "pod_logs");
    assert_eq!(redis["sources"]["contact"], "cri");
    assert_eq!(redis.get("container.name"), None, "two containers");
    assert_eq!(culprit["owner"]["container.name"], "app");
    assert_eq!(
        culprit["owner"]["container.image.name"],
        "registry.example/app:1"
    );
    assert_eq!(value["attribution"]["unknown_refusals"], 0);
    assert!(culprit["held_bytes"].is_u64() && culprit["why"].is_string());
    assert_eq!(value["evidence"][0]["at"], "2026-03-14T15:09:27Z");
    assert_eq!(value["evidence"][0]["queue"], "ofo");
    assert_eq!(value["evidence"][0]["detail"], "hard");
    assert_eq!(value["evidence"][0]["allocated_bytes"], 12_250 * 4096);
}

#[test]
fn lines_of_trace_are_elements_of_evidence() {
    let mut event = fixture::event(fixture::WEB, 1_500, 3, 0);
    event.unread = u32::MAX;
    event.cookie = 0;
    event.stall_ns = 0;
    event.tuple.family = 10;
    event.tuple.local = [0; 16];
    event.tuple.local[15] = 1;
    event.tuple.remote = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
    let at = "2026-03-14T15:09:26.0000015Z".parse().unwrap();
    let owner = crate::report::Owner {
        name: "shop/web-7".into(),
        ..Default::default()
    };
    let evidence = Evidence::new(&event, &|_| owner.clone(), at, 4096);
    assert_eq!(evidence.local.as_deref(), Some("[::1]:6379"));
    assert_eq!(
        evidence.remote.as_deref(),
        Some("192.0.2.7:40000"),
        "IPv4 in IPv6 is IPv4"
    );
    let line = events::ndjson_line(&evidence).unwrap();
    let value: Value = serde_json::from_str(&line).unwrap();
    for name in [
        "unread_bytes",
        "cookie",
        "stall_ns",
        "allocated_bytes",
        "tcp_mem_max_bytes",
        "detail",
    ] {
        assert_eq!(value.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(value["queue"], "forced");
    assert_eq!(serde_json::from_str::<Evidence>(&line).unwrap(), evidence);
    let lines = format!(
        "{}\n{}\n",
        events::table_head(),
        events::table_line(&evidence)
    );
    golden::compare("trace.txt", &lines);
    assert!(lines.contains("unread –"), "absent is shown as absent");
}
