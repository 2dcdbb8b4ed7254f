//! What `kubectl apply -k` would send: built by kustomize, validated strictly by kubernetes-validate against the oldest Kubernetes that has
//! every field and against the newest there are schemas of, and looked at for what it must and must not grant.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{deploy, document, documents, folder::Folder, strings, text, tools};

const OVERLAYS: [&str; 4] = ["containerd", "crio", "containerd-canary", "crio-canary"];
/// `appArmorProfile` is a field since 1.30.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];
/// What the agent may do, as docs/deploy.md explains.
const CAPABILITIES: [&str; 7] = [
    "BPF",
    "PERFMON",
    "SYS_ADMIN",
    "SYS_PTRACE",
    "DAC_READ_SEARCH",
    "SYSLOG",
    "SYS_RESOURCE",
];

/// What an overlay makes. Without kustomize the files that it names are put together, their patches left out, and `false` says so.
fn build(test: &str, overlay: &str) -> (String, bool) {
    let path = deploy("kubernetes/overlays").join(overlay);
    let Some(kustomize) = tools::find(test, "kustomize") else {
        let mut all = String::new();
        assemble(&path, &mut all);
        return (all, false);
    };
    let (good, said) = tools::run(Command::new(kustomize).arg("build").arg(&path));
    assert!(good, "{overlay}: {said}");
    (said, true)
}

fn assemble(folder: &Path, to: &mut String) {
    let kustomization = super::read(&folder.join("kustomization.yaml"));
    for name in strings(&documents(&kustomization)[0]["resources"]) {
        let path = folder.join(name);
        if path.is_dir() {
            assemble(&path, to);
        } else {
            to.push_str(&format!("---\n{}", super::read(&path)));
        }
    }
}

/// Validates files; an error in words where one is not valid, or nobody knows its kind.
fn validate(test: &str, files: &[(&str, &str)]) -> Option<Result<(), String>> {
    let validator = tools::find(test, "kubernetes-validate")?;
    let folder = Folder::new();
    let mut command = Command::new(validator);
    command.arg("--strict");
    for version in VERSIONS {
        command.args(["--kubernetes-version", version]);
    }
    for (name, yaml) in files {
        let path = folder.path().join(format!("{name}.yaml"));
        fs::write(&path, yaml).unwrap();
        command.arg(path);
    }
    let (good, said) = tools::run(&mut command);
    let expected: usize = files
        .iter()
        .map(|(_, yaml)| documents(yaml).len() * VERSIONS.len())
        .sum();
    let passed = said.lines().filter(|line| line.contains(" passed for "));
    if good && passed.count() == expected {
        Some(Ok(()))
    } else {
        Some(Err(said))
    }
}

#[test]
fn every_manifest_is_valid_for_the_oldest_and_the_newest_kubernetes() {
    let test = "every manifest is valid";
    let built = OVERLAYS.map(|overlay| (overlay, build(test, overlay)));
    for (overlay, (yaml, whole)) in &built {
        let kinds: Vec<Value> = documents(yaml)
            .iter()
            .map(|it| it["kind"].clone())
            .collect();
        assert!(kinds.contains(&json!("DaemonSet")), "{overlay}: {kinds:?}");
        if !whole {
            tools::say(&format!(
                "{overlay}: put together of what it names, without its patches, because kustomize lacks"
            ));
        }
    }
    let oneshot = text("kubernetes/oneshot/pod.yaml");
    let mut files: Vec<(&str, &str)> = built
        .iter()
        .map(|(overlay, (yaml, _))| (*overlay, yaml.as_str()))
        .collect();
    files.push(("oneshot", &oneshot));
    if let Some(result) = validate(test, &files) {
        result.unwrap_or_else(|said| panic!("{said}"));
    }
}

#[test]
fn the_validator_hears_what_is_wrong() {
    let good = text("kubernetes/agent/daemonset.yaml");
    for (from, to) in [
        ("hostPID: true", "hostPid: true"),
        ("minReadySeconds: 30", "minReadySeconds: thirty"),
        ("kind: DaemonSet", "kind: DemonSet"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(good, bad);
        let Some(result) = validate("the validator hears what is wrong", &[("bad", &bad)]) else {
            return;
        };
        assert!(result.is_err(), "{to}");
    }
}

#[test]
fn overlays_differ_in_the_runtime_and_the_canary_in_its_nodes() {
    let test = "overlays differ";
    for (overlay, socket, selinux, track, operator) in [
        (
            "containerd",
            "/run/containerd/containerd.sock",
            None,
            "stable",
            "NotIn",
        ),
        (
            "crio",
            "/run/crio/crio.sock",
            Some("spc_t"),
            "stable",
            "NotIn",
        ),
        (
            "containerd-canary",
            "/run/containerd/containerd.sock",
            None,
            "canary",
            "In",
        ),
        (
            "crio-canary",
            "/run/crio/crio.sock",
            Some("spc_t"),
            "canary",
            "In",
        ),
    ] {
        let (yaml, whole) = build(test, overlay);
        if !whole {
            return;
        }
        let all = documents(&yaml);
        let set = all.iter().find(|it| it["kind"] == "DaemonSet").unwrap();
        let pod = &set["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let wanted = format!("--cri-socket=/host{socket}");
        assert!(
            strings(&container["args"]).contains(&wanted.as_str()),
            "{overlay}: {}",
            container["args"]
        );
        let mounts = container["volumeMounts"].as_array().unwrap();
        let runtime = mounts.iter().find(|it| it["name"] == "runtime").unwrap();
        assert!(wanted.contains(runtime["mountPath"].as_str().unwrap()));
        assert_eq!(runtime["readOnly"], true, "{overlay}");
        let labelled = container["securityContext"]["seLinuxOptions"]["type"].as_str();
        assert_eq!(labelled, selinux, "{overlay}");
        for labels in [
            &set["metadata"]["labels"],
            &set["spec"]["selector"]["matchLabels"],
            &set["spec"]["template"]["metadata"]["labels"],
        ] {
            assert_eq!(labels["tcpress-track"], track, "{overlay}");
        }
        let terms = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            ["nodeSelectorTerms"];
        let rules = terms[0]["matchExpressions"].as_array().unwrap();
        let canary = rules.iter().find(|it| it["key"] == "tcpress-canary");
        assert_eq!(canary.unwrap()["operator"], operator, "{overlay}");
        let off = rules.iter().find(|it| it["key"] == "tcpress-off").unwrap();
        assert_eq!(off["operator"], "DoesNotExist", "{overlay}");
        // A canary stands beside the stable one: nothing of the same kind and name may be in both.
        if let Some(stable) = overlay.strip_suffix("-canary") {
            let name = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
            let stable: BTreeSet<String> =
                documents(&build(test, stable).0).iter().map(name).collect();
            let own: BTreeSet<String> = all.iter().map(name).collect();
            assert!(stable.is_disjoint(&own), "{own:?}");
        }
        // The configuration that is mounted is the one that is made.
        let volumes = pod["volumes"].as_array().unwrap();
        let config = volumes.iter().find(|it| it["name"] == "config").unwrap();
        let map = all.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
        assert_eq!(config["configMap"]["name"], map["metadata"]["name"]);
        assert!(map["data"]["agent.toml"].is_string());
    }
}

#[test]
fn the_agent_is_granted_what_it_needs_and_no_more() {
    let set = document("kubernetes/agent/daemonset.yaml");
    let oneshot = document("kubernetes/oneshot/pod.yaml");
    for (name, pod) in [
        ("agent", &set["spec"]["template"]["spec"]),
        ("oneshot", &oneshot["spec"]),
    ] {
        let security = &pod["containers"][0]["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(security["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(security["privileged"], false, "{name}");
        assert_eq!(
            strings(&security["capabilities"]["drop"]),
            ["ALL"],
            "{name}"
        );
        assert_eq!(
            strings(&security["capabilities"]["add"]),
            CAPABILITIES,
            "{name}"
        );
        let profile = &pod["securityContext"]["seccompProfile"]["type"];
        assert_eq!(profile, "RuntimeDefault", "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
            let written = ["state", "run"].contains(&mount["name"].as_str().unwrap());
            assert_eq!(mount["readOnly"] != true, written, "{name}: {mount}");
        }
    }
    let rollout = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    assert_eq!(rollout, "1%");
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["priorityClassName"], "system-node-critical");
    let container = &pod["containers"][0];
    for (probe, path) in [
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ] {
        assert_eq!(container[probe]["httpGet"]["path"], path, "{probe}");
    }
    // TCP memory may be full for minutes, and the agent must outlive that.
    let silence = &container["livenessProbe"];
    let seconds =
        silence["periodSeconds"].as_u64().unwrap() * silence["failureThreshold"].as_u64().unwrap();
    assert!(seconds >= 600, "{seconds}");
    let port = container["ports"][0]["containerPort"].as_u64().unwrap();
    let listen = format!("--set=http.listen=$(POD_IP):{port}");
    assert!(strings(&container["args"]).contains(&listen.as_str()));
}

#[test]
fn each_capability_says_why() {
    let yaml = text("kubernetes/agent/daemonset.yaml");
    let lines: Vec<&str> = yaml.lines().map(str::trim).collect();
    for capability in CAPABILITIES {
        let at = lines
            .iter()
            .position(|line| *line == format!("- {capability}"));
        let before = lines[at.unwrap() - 1];
        assert!(before.starts_with("# "), "{capability}: {before}");
    }
    let unit = text("systemd/tcpress-agent.service");
    let given: Vec<String> = CAPABILITIES.iter().map(|it| format!("CAP_{it}")).collect();
    let line = format!("\nCapabilityBoundingSet={}\n", given.join(" "));
    assert!(unit.contains(&line), "the unit grants the same: {line}");
    let guide = super::read(&super::workspace().join("docs/deploy.md"));
    for capability in given {
        assert!(guide.contains(&format!("`{capability}`")), "{capability}");
    }
}
