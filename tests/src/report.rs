//! Reading a report of schema `tcpress.report/v1` by the names that its users rely on, and the checks that several scenarios
//! share. What a report says is compared with the kernel's own counters, never with itself alone.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::check::Checks;
use crate::pod::Pod;
use crate::snmp::Delta;

/// A report as JSON.
#[derive(Clone, Debug)]
pub struct Report(Value);

/// Whether an `owner` object means this pod.
#[must_use]
pub fn is_pod(owner: &Value, pod: &Pod) -> bool {
    owner["k8s.namespace.name"] == pod.namespace.as_str()
        && owner["k8s.pod.name"] == pod.name.as_str()
}

/// A list, empty where there is none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What the plan promised of a counter, before its residual was known.
#[must_use]
pub fn promised(counter: &Value) -> &str {
    match counter["why"].as_str() {
        Some(why) if why.starts_with("the plan called it exact") => "exact",
        _ => counter["sight"].as_str().unwrap_or_default(),
    }
}

impl Report {
    /// Takes a value that carries the schema's name.
    pub fn new(value: Value) -> Result<Self> {
        let schema = &value["schema"];
        ensure!(schema == "tcpress.report/v1", "the schema is {schema}");
        Ok(Self(value))
    }

    /// A value by JSON pointer; null where there is none.
    #[must_use]
    pub fn at(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// The elements of a list by JSON pointer.
    #[must_use]
    pub fn list(&self, pointer: &str) -> &[Value] {
        list(self.at(pointer))
    }

    /// The sentence of the verdict.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.at("/verdict/summary").as_str().unwrap_or_default()
    }

    /// Whether the kernel told the memory and cgroups of all sockets; it does not where its module `tcp_diag` is not there.
    #[must_use]
    pub fn tells_sockets(&self) -> bool {
        let mut gaps = self.list("/losses/gaps").iter();
        !gaps.any(|gap| gap.as_str().is_some_and(|gap| gap.contains("tcp_diag")))
    }

    /// The victims that are this pod (one, unless several of its containers suffer).
    pub fn victims<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Value> {
        self.list("/victims")
            .iter()
            .filter(|victim| is_pod(&victim["owner"], pod))
    }

    /// A number of a pod's victims, by JSON pointer within a victim; several containers are summed.
    #[must_use]
    pub fn of_victim(&self, pod: &Pod, pointer: &str) -> u64 {
        self.victims(pod)
            .filter_map(|victim| victim.pointer(pointer)?.as_u64())
            .sum()
    }

    /// The line of a pod among the holders; several containers are one.
    #[must_use]
    pub fn holder(&self, pod: &Pod) -> &Value {
        let mut holders = self.list("/holders").iter();
        let found = holders.find(|holder| is_pod(&holder["owner"], pod));
        found.unwrap_or(&Value::Null)
    }

    /// What was found must be what the kernel has allocated, as far as the reserves of its CPUs let it know.
    pub fn check_explained(&self, checks: &mut Checks) {
        let explained = self.at("/tcp_memory/explained");
        let of = |name: &str| explained[name].as_u64();
        let sum = of("listed_bytes").zip(of("unlisted_bytes"));
        let told = sum.zip(of("allocated_bytes")).zip(of("reserve_bytes"));
        let within = told.is_some_and(|(((listed, unlisted), allocated), reserve)| {
            (listed + unlisted).abs_diff(allocated) <= reserve
        });
        checks.that(within, || format!("not all is explained: {explained}"));
    }

    /// The row of one network namespace and counter.
    #[must_use]
    pub fn row(&self, netns: &str, counter: &str) -> Option<&Value> {
        self.list("/reconciliation")
            .iter()
            .find(|row| row["netns"] == netns && row["counter"] == counter)
    }

    /// Names of the owners in a list, for messages.
    #[must_use]
    pub fn names(&self, pointer: &str) -> Vec<String> {
        self.list(pointer)
            .iter()
            .map(|entry| entry["owner"]["name"].as_str().unwrap_or("?").to_owned())
            .collect()
    }

    /// Kprobes may miss something: the kernel skips one where any other runs. Either the
    /// report prints how much may be missing, or, of kprobes whose skips the kernel does not count, the plan calls its counters
    /// derived. Then a residual must show it and the summary must say it, and the counts prove no more.
    pub(crate) fn misses_openly(&self, checks: &mut Checks) -> bool {
        let kprobes = self.list("/plan/probes").iter();
        let kprobes = kprobes.filter(|probe| probe["flavour"] == "kprobe").count() > 0;
        let derived = |counter: &Value| promised(counter) == "derived";
        let off = |row: &Value| row["residual"].as_i64().is_some_and(|it| it != 0);
        let admitted = self.list("/plan/counters").iter().all(derived)
            || self.at("/losses/possible_misses").as_u64() > Some(0);
        let openly = kprobes && admitted && self.list("/reconciliation").iter().any(off);
        if openly {
            checks.that(self.summary().contains("not exact"), || {
                format!("a residual is not in the summary: {}", self.summary())
            });
        }
        openly
    }

    /// Where a self-check was made it must have compared calls, and agreed on every one.
    fn check_selfcheck(&self, checks: &mut Checks) {
        let check = self.at("/selfcheck");
        if check.is_null() {
            return;
        }
        let calls = check["calls"].as_u64().unwrap_or(0);
        checks.that(
            calls == 0 || check["compared"].as_u64().unwrap_or(0) > 0,
            || format!("the self-check compared nothing: {check}"),
        );
        let wrong = check["disagreements"].as_object();
        checks.that(
            wrong.is_some_and(|wrong| wrong.values().all(|count| count == 0)),
            || format!("the self-check disagrees: {check}"),
        );
    }

    /// The course of the window: it ends where the window ends, and its steps add up to what was refused.
    pub fn check_series(&self, checks: &mut Checks) {
        if self.at("/series").is_null() {
            return;
        }
        let end = self.list("/series/steps").last();
        let end = end.and_then(|step| step["end_ns"].as_u64());
        checks.equal(
            "the end of the last step",
            end,
            self.at("/window/duration_ns").as_u64(),
        );
        let owners = self.list("/series/owners").iter();
        let counts = owners.map(|owner| &owner["refused"]);
        let counts = counts.chain([self.at("/series/others")]);
        let counts = counts.filter_map(Value::as_array).flatten();
        let refused: u64 = counts.filter_map(Value::as_u64).sum();
        let all = self.at("/attribution/refusals").as_u64();
        checks.equal("refusals of all steps", Some(refused), all);
    }

    /// Every row of a namespace that is there must have the residual 0, and something must have been counted at all.
    pub fn check_at_rest(&self, checks: &mut Checks) {
        self.check_series(checks);
        let rows = self.list("/reconciliation");
        checks.that(!rows.is_empty(), || "there is no reconciliation".into());
        if self.misses_openly(checks) {
            return;
        }
        self.check_selfcheck(checks);
        self.check_residuals(checks);
    }

    /// The same without the self-check, which can be wrong itself where both ends of a call were missed: it then takes them for those
    /// of the socket's next call. It must say that it disagrees, and the residuals tell whether the counts are right.
    pub fn check_at_rest_beside_misses(&self, checks: &mut Checks) {
        let wrong = self.at("/selfcheck/disagreements").as_object();
        let disagrees = wrong.is_some_and(|wrong| wrong.values().any(|count| count != 0));
        checks.that(
            !disagrees || self.summary().contains("The self-check disagrees"),
            || format!("the summary hides a disagreement: {}", self.summary()),
        );
        self.check_residuals(checks);
    }

    fn check_residuals(&self, checks: &mut Checks) {
        let rows = self.list("/reconciliation");
        let mut counted = 0;
        for row in rows.iter().filter(|row| row["state"] != "gone") {
            counted += row["kernel"].as_u64().unwrap_or(0);
            checks.that(row["residual"] == 0, || {
                format!(
                    "at rest a residual is not 0: {row}, losses {}",
                    self.at("/losses")
                )
            });
        }
        checks.above_zero(
            "the sum of all the kernel's counters in the reconciliation",
            counted,
        );
    }

    /// The rows of a namespace must carry what the kernel counted there, attributed to the last one.
    pub fn check_rows(&self, checks: &mut Checks, whose: &str, netns: &str, kernel: &Delta) {
        if self.misses_openly(checks) {
            return;
        }
        for (counter, growth) in kernel.iter() {
            match self.row(netns, counter) {
                None => checks.that(growth == 0, || {
                    format!("{counter} of {whose} grew by {growth} and has no row")
                }),
                Some(row) => {
                    checks.that(
                        row["kernel"] == growth && row["attributed"] == growth,
                        || format!("{counter} of {whose} grew by {growth}, the row says {row}"),
                    );
                }
            }
        }
    }

    /// A pod's refusals by queue must be what the kernel counted in its namespace.
    pub fn check_refusals(&self, checks: &mut Checks, pod: &Pod, kernel: &Delta) {
        if self.misses_openly(checks) {
            return;
        }
        let of = |queue: &str| self.of_victim(pod, &format!("/refusals/{queue}"));
        let name = pod.full_name();
        checks.equal(
            &format!("refusals of {name} out of order"),
            of("ofo"),
            kernel.get("TCPOFODrop"),
        );
        let in_order = of("rcv") + of("send_rcvq");
        checks.equal(
            &format!("refusals of {name} in order"),
            in_order,
            kernel.get("TCPRcvQDrop"),
        );
    }

    /// Every refusal of a pod must carry one limit.
    pub fn check_limit(&self, checks: &mut Checks, pod: &Pod, limit: &str, refusals: u64) {
        if self.misses_openly(checks) {
            return;
        }
        for name in ["rcvbuf", "tcp_mem", "memcg", "unknown"] {
            let want = if name == limit { refusals } else { 0 };
            let got = self.of_victim(pod, &format!("/refusals_by_limit/{name}"));
            checks.equal(
                &format!("refusals of {} by {name}", pod.full_name()),
                got,
                want,
            );
        }
    }

    /// How long prunes kept the CPU: a bucket is off by an eighth at most, so the longest of them fits into
    /// their sum, and their sum into as many of the longest.
    pub fn check_stalls(&self, checks: &mut Checks, pod: &Pod) {
        let of = |pointer: &str| self.of_victim(pod, pointer);
        let (prunes, sum) = (of("/prunes"), of("/stall_ns"));
        let [p50, p99, longest] =
            ["p50", "p99", "max"].map(|name| of(&format!("/stall_percentiles/{name}_ns")));
        checks.above_zero("the longest prune", longest);
        checks.that(p50 <= p99 && p99 <= longest, || {
            format!("percentiles of prunes do not rise: {p50}, {p99}, {longest}")
        });
        // The last bucket has no end: what lies in it may have taken any time.
        let bounded = longest < 58_000_000;
        checks.that(
            longest / 8 * 7 <= sum && (!bounded || sum <= prunes * (longest / 8 * 9)),
            || format!("{prunes} prunes of at most {longest} ns do not make {sum} ns"),
        );
    }

    /// No culprit may be anyone but `reader`, and the summary must not name an innocent.
    pub fn check_nobody_else_accused(&self, checks: &mut Checks, reader: &Pod, innocent: &Pod) {
        for culprit in self.list("/culprits") {
            checks.that(is_pod(&culprit["owner"], reader), || {
                format!("a foreign culprit is named: {}", culprit["owner"])
            });
        }
        checks.that(!self.summary().contains(&innocent.full_name()), || {
            format!("the summary names an innocent: {}", self.summary())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a report with a residual of 1 fails by.
    fn faults(flavour: &str, why: &str, possible_misses: u64, summary: &str) -> usize {
        let report = json!({
            "schema": "tcpress.report/v1",
            "verdict": {"summary": summary},
            "plan": {
                "probes": [{"flavour": flavour}],
                "counters": [{"counter": "PruneCalled", "sight": "derived", "why": why}],
            },
            "losses": {"possible_misses": possible_misses},
            "reconciliation": [{"netns": "7", "counter": "PruneCalled", "kernel": 5, "attributed": 4, "residual": 1}],
        });
        let mut checks = Checks::new();
        Report::new(report).unwrap().check_at_rest(&mut checks);
        let said = checks.finish().err().map(|error| error.to_string());
        said.map_or(0, |said| said.split("; ").count())
    }

    #[test]
    fn a_residual_is_taken_only_where_misses_are_admitted() {
        let off = "Counts are not exact: residual 1.";
        let skips = "a kprobe is skipped where another runs";
        assert_eq!(faults("kprobe", skips, 0, off), 0);
        assert_eq!(faults("kprobe", skips, 0, "All is well."), 1);
        let promised = "the plan called it exact, and in netns 7 its residual is 1";
        assert_eq!(faults("kprobe", promised, 0, off), 1);
        assert_eq!(faults("kprobe", promised, 2, off), 0);
        assert_eq!(faults("fexit", skips, 0, off), 1);
        assert_eq!(faults("fexit", promised, 2, off), 1);
    }
}
