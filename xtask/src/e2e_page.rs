//! The page on the scenarios end to end: what happened, what was true, and what tcpress said of it. Pure: from what machines wrote to
//! Markdown.

use std::fmt::Write as _;

use serde_json::Value;

const INTRODUCTION: &str = "\
# End to end

Written by `cargo xtask e2e`, which boots each kernel once (Debian's cloud flavour, x86_64, two processors, under QEMU) with a disk
that has Debian's containerd, runc, CNI plugins and Redis. Pods are made over CRI with the cgroups, limits, labels and folders of
logs that the kubelet makes around them. Three stay from the first scenario to the last: `cache/redis-0` (redis-server),
`web/frontend` (its client, with a time limit for each request) and `batch/worker`, which has nothing to do with anything. Between
two scenarios the node must be again as it was.

**Truth**: the kind and the culprits are what the scenario made; the victims are the pods in whose network namespaces the kernel
counted something lost or pruned while tcpress looked. **Verdict**: `verdict.kind`, `verdict.leak` or `verdict.reader`, `culprits`
and `victims` of the report. A scenario holds where kind and culprits are equal, every true victim is named and nobody is named in
whose namespace the kernel counted nothing.
";

const KUBELET: &str = "
## On a node that a real kubelet runs

Written by `cargo xtask e2e --kubelet --kernel 6.1,6.12`, which the first time builds the kubelet of Debian 12's source package
`kubernetes` (1.20.2) with Debian's Go and keeps it in the cache. It runs by itself, without an API server, against the same
containerd, with the cgroupfs driver; its pods are static ones, of manifests in a folder: a Guaranteed `redis-0`, its client
`frontend` (BestEffort), the leaking `leaky` (Burstable), `worker` with a sidecar, and `agent` on the node's network. The incident
follows; then the manifest of `leaky` is taken away, and the kubelet must end it, the node have its TCP memory back, and the client
its answers. Of every pod in the report name, uid, QoS class, container, workload and contact must be what manifest, kernel and
folder of logs say, each with its source. The kubelet's systemd driver is not played here: it takes a node whose init is systemd, and
the guest's is not.

";

/// The whole page. Each kernel has its short name and what its machine wrote; `kubelet` is the same of nodes that a kubelet runs.
pub(crate) fn page(kernels: &[(String, Value)], kubelet: &[(String, Value)]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## What happens\n\n");
    for scenario in kernels.iter().take(1).flat_map(|it| scenarios(&it.1)) {
        let _ = writeln!(
            page,
            "- `{}`: {}",
            text(&scenario["name"]),
            text(&scenario["about"])
        );
    }
    page.push_str("\n## What was said\n\nKernels: ");
    let releases: Vec<&str> = kernels.iter().map(|it| text(&it.1["release"])).collect();
    let _ = writeln!(page, "{}.\n", releases.join(", "));
    page.push_str(&table(kernels));
    page.push_str(KUBELET);
    page.push_str(&table(kubelet));
    page
}

/// One row for each scenario and kernel.
pub(crate) fn table(kernels: &[(String, Value)]) -> String {
    let mut table =
        "| scenario | kernel | truth | verdict | |\n| --- | --- | --- | --- | --- |\n".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for name in kernels
        .iter()
        .flat_map(|it| scenarios(&it.1))
        .map(|it| text(&it["name"]))
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        for (kernel, seen) in kernels {
            for scenario in scenarios(seen).filter(|it| it["name"] == name) {
                let held = if scenario["held"] == true {
                    "holds"
                } else {
                    "**does not hold**"
                };
                let _ = writeln!(
                    table,
                    "| `{name}` | {kernel} | {} | {} | {held} |",
                    text(&scenario["truth"]),
                    text(&scenario["verdict"])
                );
            }
        }
    }
    table
}

fn scenarios(seen: &Value) -> impl Iterator<Item = &Value> {
    seen["scenarios"].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn truth_and_verdict_of_each_kernel_stand_side_by_side() {
        let scenario = |held: bool| {
            json!({"release": "6.1.0", "scenarios": [
                {"name": "leak", "about": "a pod leaks", "truth": "t", "verdict": "v", "held": held},
                {"name": "lost", "about": "it did not end", "held": false},
            ]})
        };
        let kernels = [
            ("6.1".to_owned(), scenario(true)),
            ("6.12".to_owned(), scenario(false)),
        ];
        let page = page(&kernels, &kernels[1..]);
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        let expected = [
            "| `leak` | 6.1 | t | v | holds |",
            "| `leak` | 6.12 | t | v | **does not hold** |",
            "| `lost` | 6.1 | ? | ? | **does not hold** |",
            "| `lost` | 6.12 | ? | ? | **does not hold** |",
            "| `leak` | 6.12 | t | v | **does not hold** |",
            "| `lost` | 6.12 | ? | ? | **does not hold** |",
        ];
        assert_eq!(rows, expected);
        assert!(page.contains("- `leak`: a pod leaks\n"), "{page}");
    }
}
