//! The page on kernels, made from what was measured. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

const HEAD: &str = "\
# Kernels

Written by `cargo xtask vm-matrix`, which boots each kernel (Debian's cloud flavour, x86_64, two processors, under
QEMU), runs every scenario of the lab with BPF trampolines and those that count once more with kprobes, and compares
each counter with the kernel's own. What was measured lies in `tests/kernels`.

- **exact**: counted as the kernel counts; **derived**: it may differ, and the residual of a report shows by how much;
  **blind**: not seen.
- A cell gives by how much the kernel's counter rose over all reports, and, where it is not 0, the largest residual at
  rest in bold.
- *Self-check*: calls of `tcp_try_rmem_schedule` compared one by one with the kernel's own counters; a scenario with a
  disagreement fails.
- *Possible misses*: an upper bound of the events that no copy of a program may have seen, over all reports. With kprobes on
  6.7 and later a residual beside them is what the kernel has skipped; that report calls its counts not exact.
";

const LIMITS: &str = "
## Limits and hard cases

To which limit refusals, and in brackets prunes, were laid, over all reports of the run. The scenarios `rcvbuf`, `tcp_mem_hard`,
`tcp_mem_fair_share`, `memcg_process`, `memcg_softirq` and, on hosts with cgroup v1, `v1_tcpmem` can meet one limit only, by arithmetic, and
fail if a single label is another one or unknown. Where only some scenarios were run (`cargo xtask vm-matrix --limits`), these are counted.

";

const HOSTS: &str = "
## Hosts with cgroup v1

What tells owners apart, and the limit that only v1 has, with all controllers in v1 hierarchies and with a v2 hierarchy without
controllers beside them (hybrid). From 6.12 on Debian builds its kernels without the v1 memory controller (`CONFIG_MEMCG_V1`).

";

/// The page; kernels by name, each as its machine has written it.
pub(crate) fn page(kernels: &[(String, Value)]) -> String {
    let mut page = HEAD.to_owned();
    for (flavour, title) in [
        ("fentry", "BPF trampolines (the default)"),
        ("kprobe", "kprobes (`--probe-flavour kprobe`)"),
    ] {
        let measured: Vec<(&str, &Value, &Value)> = kernels
            .iter()
            .filter_map(|(name, seen)| {
                let flavours = seen["flavours"].as_array()?;
                let found = flavours.iter().find(|it| it["flavour"] == flavour)?;
                Some((name.as_str(), seen, found))
            })
            .collect();
        if !measured.is_empty() {
            let _ = write!(page, "\n## {title}\n\n");
            runs(&mut page, &measured);
            counters(&mut page, &measured);
            reasons(&mut page, &measured);
        }
    }
    limits(&mut page, kernels);
    hosts(&mut page, kernels);
    page
}

/// Limits and hard cases: as measured last, alone or with everything else.
fn limits(page: &mut String, kernels: &[(String, Value)]) {
    let measured: Vec<(&str, &Value, &Value)> = kernels
        .iter()
        .filter_map(|(name, seen)| {
            let seen = if seen["limits"].is_null() {
                seen
            } else {
                &seen["limits"]
            };
            let run = seen["flavours"].as_array()?.first()?;
            (!run["labels"].is_null()).then_some((name.as_str(), seen, run))
        })
        .collect();
    if measured.is_empty() {
        return;
    }
    page.push_str(LIMITS);
    runs(page, &measured);
    labels(page, &measured);
    reasons(page, &measured);
}

/// Hosts with cgroup v1, as far as kernels can be such.
fn hosts(page: &mut String, kernels: &[(String, Value)]) {
    let mut named = Vec::new();
    for (name, seen) in kernels {
        for (layout, host) in seen["hosts"].as_object().into_iter().flatten() {
            named.push((format!("{name} {layout}"), host));
        }
    }
    let measured: Vec<(&str, &Value, &Value)> = named
        .iter()
        .filter_map(|(name, host)| {
            let run = host["flavours"].as_array()?.first()?;
            Some((name.as_str(), *host, run))
        })
        .collect();
    if measured.is_empty() {
        return;
    }
    page.push_str(HOSTS);
    runs(page, &measured);
    labels(page, &measured);
    reasons(page, &measured);
}

/// Refusals by the limit that they are laid to, one column for each kernel; beside them prunes, where they are told apart.
fn labels(page: &mut String, measured: &Measured<'_>) {
    let names: std::collections::BTreeSet<&String> = measured
        .iter()
        .flat_map(|(.., run)| run["labels"].as_object().into_iter().flatten())
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        return;
    }
    page.push('\n');
    let kernels = measured.iter().map(|(name, ..)| *name);
    row(
        page,
        std::iter::once("limit: refusals (prunes)").chain(kernels),
    );
    row(page, vec!["---"; measured.len() + 1]);
    for name in names {
        let cells = measured.iter().map(|(.., run)| {
            let it = &run["labels"][name];
            match &it["prunes"] {
                Value::Null => number(&it["refusals"]),
                prunes => format!("{} ({})", number(&it["refusals"]), number(prunes)),
            }
        });
        row(page, std::iter::once(format!("`{name}`")).chain(cells));
    }
}

type Measured<'a> = [(&'a str, &'a Value, &'a Value)];

/// One row for each kernel.
fn runs(page: &mut String, measured: &Measured<'_>) {
    row(
        page,
        [
            "kernel",
            "release",
            "measured",
            "exact",
            "derived",
            "blind",
            "residual at rest",
            "scenarios",
            "self-check",
            "possible misses",
        ],
    );
    row(page, ["---"; 10]);
    for (name, seen, run) in measured {
        let all = || run["counters"].as_object().into_iter().flatten();
        let of = |sight: &str| {
            all()
                .filter(|it| it.1["sight"] == sight)
                .count()
                .to_string()
        };
        let worst = all().filter_map(|it| it.1["worst_residual"].as_u64()).max();
        let length = |list: &str| run[list].as_array().map_or(0, Vec::len);
        let (failed, skipped) = (length("failed"), length("skipped"));
        let mut scenarios = format!("{} passed", run["passed"]);
        for (count, what) in [(failed, "failed"), (skipped, "skipped")] {
            if count > 0 {
                let _ = write!(scenarios, ", {count} {what}");
            }
        }
        let gone = if seen["served"] == false {
            " (no suite serves it any more)"
        } else {
            ""
        };
        let check = &run["selfcheck"];
        let compared = number(&check["compared"]) + " of " + &number(&check["calls"]);
        row(
            page,
            [
                name,
                text(&seen["release"]),
                &(text(&seen["measured"]).to_owned() + gone),
                &of("exact"),
                &of("derived"),
                &of("blind"),
                &worst.map_or_else(|| "?".to_owned(), |worst| worst.to_string()),
                &scenarios,
                &compared,
                &number(&run["possible_misses"]),
            ],
        );
    }
}

/// One row for each counter, one column for each kernel.
fn counters(page: &mut String, measured: &Measured<'_>) {
    let names: std::collections::BTreeSet<&String> = measured
        .iter()
        .flat_map(|(.., run)| run["counters"].as_object().into_iter().flatten())
        .map(|(name, _)| name)
        .collect();
    page.push('\n');
    let kernels = measured.iter().map(|(name, ..)| *name);
    row(page, std::iter::once("counter").chain(kernels));
    row(page, vec!["---"; measured.len() + 1]);
    for name in names {
        let cells = measured.iter().map(|(.., run)| {
            let it = &run["counters"][name];
            let mut cell = format!("{} {}", text(&it["sight"]), number(&it["moved"]));
            if it["worst_residual"] != 0 {
                let _ = write!(cell, " **off by {}**", number(&it["worst_residual"]));
            }
            cell
        });
        row(page, std::iter::once(format!("`{name}`")).chain(cells));
    }
}

/// Why something is not exact or was not run, and where.
fn reasons(page: &mut String, measured: &Measured<'_>) {
    let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, _, run) in measured {
        let whys = run["counters"].as_object().into_iter().flatten();
        let whys = whys.filter_map(|(_, it)| it["why"].as_str());
        let mut said: Vec<String> = whys.map(str::to_owned).collect();
        for (list, word) in [("failed", ""), ("skipped", "skipped: ")] {
            let lines = run[list].as_array().into_iter().flatten();
            said.extend(lines.filter_map(|line| Some(word.to_owned() + line.as_str()?)));
        }
        said.sort();
        said.dedup();
        for why in said {
            reasons.entry(why).or_default().push(name);
        }
    }
    if !reasons.is_empty() {
        page.push('\n');
    }
    for (why, kernels) in reasons {
        let _ = writeln!(page, "- {}: {why}", kernels.join(", "));
    }
}

fn row<T: AsRef<str>>(page: &mut String, cells: impl IntoIterator<Item = T>) {
    for cell in cells {
        let _ = write!(page, "| {} ", cell.as_ref());
    }
    page.push_str("|\n");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// A count with its thousands apart.
fn number(value: &Value) -> String {
    let Some(count) = value.as_u64() else {
        return "?".to_owned();
    };
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(sight: &str, worst: u64) -> Value {
        let counter = json!({"sight": sight, "why": (sight != "exact").then_some("inlined"),
                             "moved": 12_345, "worst_residual": worst});
        json!({"release": "6.12.117", "measured": "2026-11-24", "flavours": [{
            "flavour": "fentry", "counters": {"PruneCalled": counter}, "passed": 26, "failed": [],
            "skipped": ["tun: no module"], "possible_misses": 0,
            "selfcheck": {"calls": 1000, "compared": 999},
            "labels": {"tcp_mem": {"refusals": 1234, "prunes": 7}, "tcp_mem hard": {"refusals": 34}},
        }]})
    }

    #[test]
    fn limits_and_other_hosts_have_tables() {
        let mut kernel = seen("exact", 0);
        kernel["hosts"]["v1"] = seen("exact", 0);
        let page = page(&[("6.1".to_owned(), kernel)]);
        let (ordinary, host) = page.split_once("## Hosts with cgroup v1").unwrap();
        let (_, limits) = ordinary.split_once("## Limits and hard cases").unwrap();
        for (part, name) in [(limits, "6.1"), (host, "6.1 v1")] {
            for line in [
                format!("| limit: refusals (prunes) | {name} |"),
                "| `tcp_mem` | 1,234 (7) |".to_owned(),
                "| `tcp_mem hard` | 34 |".to_owned(),
            ] {
                assert!(part.lines().any(|it| it == line), "{line}\n{part}");
            }
        }
    }

    #[test]
    fn a_page_says_what_was_seen_where() {
        let mut old = seen("derived", 3);
        old["served"] = false.into();
        let page = page(&[
            ("5.10".to_owned(), old),
            ("6.12".to_owned(), seen("exact", 0)),
        ]);
        let lines: Vec<&str> = page.lines().collect();
        for line in [
            "| 5.10 | 6.12.117 | 2026-11-24 (no suite serves it any more) | 0 | 1 | 0 | 3 | 26 passed, 1 skipped | 999 of 1,000 | 0 |",
            "| counter | 5.10 | 6.12 |",
            "| `PruneCalled` | derived 12,345 **off by 3** | exact 12,345 |",
            "- 5.10: inlined",
            "- 5.10, 6.12: skipped: tun: no module",
        ] {
            assert!(lines.contains(&line), "{line}\n{page}");
        }
        assert!(!page.contains("kprobes (`"), "{page}");
        assert!(!page.contains("## Hosts"), "{page}");
    }
}
