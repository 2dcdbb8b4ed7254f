//! What a report says of pods that came and went.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Identity, Truth};
use crate::report::Report;

/// What a report makes of it. All numbers are refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// That there were.
    pub total: u64,
    /// Told of the pod that they were of, by uid, namespace and name.
    pub right: u64,
    /// Told of somebody else.
    pub wrong: u64,
    /// Told of nobody.
    pub unknown: u64,
    /// Pods of which the report knows the name of the container, which a runtime alone tells.
    pub named_by_runtime: usize,
    /// The first few that were told wrongly, in words.
    pub faults: Vec<String>,
}

/// Compares the victims of a report with what is true.
#[must_use]
pub fn judge(report: &Report, truths: &[Truth]) -> Judgement {
    let mut judgement = Judgement::default();
    let mut left: BTreeMap<&str, &Truth> = BTreeMap::new();
    for truth in truths {
        judgement.total += truth.refusals;
        left.insert(&truth.identity.uid, truth);
    }
    let mut seen = BTreeSet::new();
    for victim in report.list("/victims") {
        let owner = &victim["owner"];
        let refusals = ["rcv", "ofo", "send_rcvq"].iter();
        let refusals: u64 = refusals
            .filter_map(|queue| victim["refusals"][queue].as_u64())
            .sum();
        if refusals == 0 {
            continue;
        }
        if matches!(owner["kind"].as_str(), Some("unknown" | "unattributed")) {
            judgement.unknown += refusals;
            continue;
        }
        let truth = owner["k8s.pod.uid"].as_str().and_then(|uid| left.get(uid));
        let truth = truth.filter(|truth| is(owner, &truth.identity));
        let again = truth.is_some_and(|truth| !seen.insert(&truth.identity.uid));
        let right = truth
            .filter(|_| !again)
            .map_or(0, |truth| refusals.min(truth.refusals));
        judgement.right += right;
        judgement.named_by_runtime += usize::from(owner["container.name"].is_string());
        if refusals > right {
            judgement.wrong += refusals - right;
            if judgement.faults.len() < 5 {
                judgement.faults.push(format!(
                    "{refusals} of {owner}, true are {:?}",
                    truth.map(|truth| truth.refusals)
                ));
            }
        }
    }
    judgement
}

fn is(owner: &Value, identity: &Identity) -> bool {
    owner["k8s.namespace.name"] == identity.namespace.as_str()
        && owner["k8s.pod.name"] == identity.name.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn truth(name: &str, uid: &str, refusals: u64) -> Truth {
        Truth {
            identity: Identity {
                namespace: "churn".into(),
                name: name.into(),
                uid: uid.into(),
            },
            refusals,
        }
    }

    fn victim(kind: &str, name: &str, uid: &str, ofo: u64) -> Value {
        json!({
            "owner": {"kind": kind, "k8s.namespace.name": "churn", "k8s.pod.name": name, "k8s.pod.uid": uid},
            "refusals": {"rcv": 0, "ofo": ofo, "send_rcvq": null},
        })
    }

    fn judged(victims: &[Value]) -> (u64, u64, u64) {
        let report = json!({"schema": "tcpress.report/v1", "victims": victims});
        let truths = [truth("web-0", "a", 100), truth("web-0", "b", 50)];
        let judgement = judge(&Report::new(report).unwrap(), &truths);
        assert_eq!(judgement.total, 150);
        assert_eq!(judgement.faults.is_empty(), judgement.wrong == 0);
        (judgement.right, judgement.wrong, judgement.unknown)
    }

    #[test]
    fn right_is_who_it_was_by_uid_and_by_name() {
        let all = [
            victim("pod", "web-0", "a", 100),
            victim("pod", "web-0", "b", 50),
        ];
        assert_eq!(judged(&all), (150, 0, 0));
        let part = [
            victim("pod", "web-0", "a", 90),
            victim("unknown", "", "", 60),
        ];
        assert_eq!(judged(&part), (90, 0, 60));
    }

    #[test]
    fn whatever_else_is_told_of_somebody_is_wrong() {
        assert_eq!(judged(&[victim("pod", "other", "a", 100)]), (0, 100, 0));
        assert_eq!(judged(&[victim("pod", "web-0", "c", 7)]), (0, 7, 0));
        assert_eq!(judged(&[victim("cgroup", "", "", 7)]), (0, 7, 0));
        // More than there were, in one line or in two.
        assert_eq!(judged(&[victim("pod", "web-0", "b", 51)]), (50, 1, 0));
        let twice = [
            victim("pod", "web-0", "b", 30),
            victim("pod", "web-0", "b", 30),
        ];
        assert_eq!(judged(&twice), (30, 30, 0));
    }
}
