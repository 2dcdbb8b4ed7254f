//! The incident on a node that a real kubelet runs: names, uids, cgroups, classes and folders of its pods are those that Kubernetes
//! makes, not the lab's.

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::image;
use super::incident::{PHASE, retransmission_timeouts, suffered_and_recovered};
use super::kubelet::{Kubelet, StaticPod, container, manifest};
use super::leaks::{End, Leak, WHOLE};
use super::node::{Work, pages, pages_given_back, report};
use super::runtime::Runtime;
use super::scenario::Played;
use super::truth::{Counted, Truth, Watch};
use crate::check::Checks;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::Report;

/// How long Redis's client may take to be answered as before, on a machine that is busy.
const RECOVERY: Duration = Duration::from_secs(60);

/// The pods of the node.
struct Pods {
    redis: StaticPod,
    frontend: StaticPod,
    leaky: StaticPod,
    worker: StaticPod,
    agent: StaticPod,
}

/// Plays it with this program as the kubelet.
pub(super) fn play(program: &Path) -> Result<Played> {
    let runtime = Rc::new(Runtime::start()?);
    let mut kubelet = Kubelet::start(program, &runtime)?;
    let pods = Pods::new(&mut kubelet)?;
    let work = || Work::within(PHASE, || pods.frontend.last("app"));
    let healthy = work()?;
    let before = pages()?;
    let _limits = TcpMem::small()?;
    let leak = Leak::start(0, pods.leaky.endpoint(8080), WHOLE, End::Close)?;
    let mut watch = Watch::new(pods.all().map(|pod| pod as &dyn Counted))?;
    let running = report()?;
    watch.opened()?;
    leak.go_on()?;
    let ends: [&dyn Counted; 2] = [&pods.redis, &pods.frontend];
    let timeouts = retransmission_timeouts(ends)?;
    let suffering = work()?;
    let timeouts = retransmission_timeouts(ends)? - timeouts;
    watch.closing()?;
    let report = running.report()?;
    // Of the pod on the node's network no counter of its own tells.
    let victims = watch.victims()?.perhaps(&pods.agent.full_name());
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("close_wait")
        .culprit(pods.leaky.full_name());
    let expected = pods.expected()?;

    let held = pages()?;
    kubelet
        .remove(&pods.leaky)
        .context("the leaking pod cannot be stopped")?;
    let left = pages_given_back(before)?;
    eprintln!(
        "lab: pages of TCP memory: {before} before, {held} full, {left} without the manifest"
    );
    // Requests that are under way run into their time limit first, and the kubelet, which ends a pod meanwhile, takes processor time.
    let end = Instant::now() + RECOVERY;
    let mut recovered = work()?;
    while recovered.timeouts > healthy.timeouts && Instant::now() < end {
        recovered = work()?;
    }
    let mut faults = suffered_and_recovered(healthy, suffering, timeouts, recovered);
    owners(&expected, &report, &mut faults);
    Ok(Played {
        truth,
        report,
        faults,
    })
}

impl Pods {
    /// A victim of class Guaranteed and its client (BestEffort), the leak (Burstable), a pod with a sidecar, and one on the node's
    /// network.
    fn new(kubelet: &mut Kubelet) -> Result<Self> {
        let lab =
            |name: &str, words: &str| container(name, image::LAB, &format!("/lab recipe {words}"));
        let words =
            "/usr/bin/redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --appendonly no";
        let mut server = container("redis", image::REDIS, words);
        // Less processor time than this would keep runc from its work under software emulation.
        server["resources"] = json!({"limits": {"cpu": "1", "memory": "256Mi"}});
        let redis = kubelet.run(&manifest("cache/redis-0", "storage", &[server])?)?;
        redis.line("redis", "Ready to accept connections")?;

        let words = format!("redis-client --to {} --connections 6", redis.endpoint(6379));
        let frontend = kubelet.run(&manifest("web/frontend", "web", &[lab("app", &words)])?)?;
        frontend.line("app", "\"answers\"")?;

        let mut app = lab("app", "leak-server --listen 0.0.0.0:8080");
        app["resources"] = json!({"requests": {"memory": "32Mi"}});
        let leaky = kubelet.run(&manifest("shop/leaky", "payments", &[app])?)?;
        leaky.line("app", "\"ready\"")?;

        let both = |port: u16| {
            let client = format!("echo-client --to 127.0.0.1:{port} --connections 2 --pause 200");
            let server = lab("server", &format!("echo-server --listen 0.0.0.0:{port}"));
            [server, lab("client", &client)]
        };
        let worker = kubelet.run(&manifest("batch/worker", "batch", &both(7001))?)?;
        worker.line("server", "\"ready\"")?;
        worker.line("client", "\"ready\"")?;
        let mut agent = manifest("infra/agent", "infra", &both(7002))?;
        agent["spec"]["hostNetwork"] = true.into();
        let agent = kubelet.run(&agent)?;
        agent.line("server", "\"ready\"")?;
        agent.line("client", "\"ready\"")?;
        Ok(Self {
            redis,
            frontend,
            leaky,
            worker,
            agent,
        })
    }

    fn all(&self) -> [&StaticPod; 5] {
        [
            &self.redis,
            &self.frontend,
            &self.leaky,
            &self.worker,
            &self.agent,
        ]
    }

    /// What must be said of each, as the manifest and the kubelet have it.
    fn expected(&self) -> Result<Vec<Expected<'_>>> {
        let expected =
            |pod, workload, team, containers| Expected::of(pod, workload, team, containers);
        [
            expected(&self.redis, "redis-0", "storage", &["redis"][..]),
            expected(&self.frontend, "frontend", "web", &["app"]),
            expected(&self.leaky, "leaky", "payments", &["app"]),
            expected(&self.worker, "worker", "batch", &["server", "client"]),
            expected(&self.agent, "agent", "infra", &["server", "client"]),
        ]
        .into_iter()
        .collect()
    }
}

/// What must be said of a pod.
struct Expected<'a> {
    pod: &'a StaticPod,
    qos: &'static str,
    workload: &'a str,
    team: &'a str,
    containers: &'a [&'a str],
}

impl<'a> Expected<'a> {
    /// The names that the kubelet has given must be those of the kernel and of the folder of logs too, or there is no truth.
    fn of(
        pod: &'a StaticPod,
        workload: &'a str,
        team: &'a str,
        containers: &'a [&'a str],
    ) -> Result<Self> {
        let (name, uid, cgroup) = (pod.full_name(), &pod.uid, pod.cgroup()?);
        let hexadecimal = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(
            hexadecimal,
            "{name} has the uid {uid}, which is not a static pod's"
        );
        ensure!(
            pod.logs().is_dir(),
            "{name} has no {}",
            pod.logs().display()
        );
        // The tree of the cgroupfs driver (kubernetes/pkg/kubelet/cm).
        let class = cgroup
            .strip_prefix("/kubepods")
            .and_then(|rest| rest.strip_suffix(&format!("/pod{uid}")));
        let qos = match class {
            Some("") => "guaranteed",
            Some("/burstable") => "burstable",
            Some("/besteffort") => "besteffort",
            _ => bail!("{name} is in the cgroup {cgroup}, which is none of the pod {uid}"),
        };
        eprintln!("lab: {name} is {cgroup}");
        Ok(Self {
            pod,
            qos,
            workload,
            team,
            containers,
        })
    }

    fn is(&self, owner: &Value) -> bool {
        owner["k8s.namespace.name"] == self.pod.namespace.as_str()
            && owner["k8s.pod.name"] == self.pod.name.as_str()
    }

    fn check(&self, place: &str, owner: &Value, faults: &mut Checks) {
        let mut equal = |what: &str, value: &Value, want: Value| {
            let what = format!("{place}: {what} of {}", self.pod.full_name());
            faults.equal(&what, value, &want);
        };
        for (key, want) in [
            ("kind", "pod"),
            ("k8s.pod.uid", &self.pod.uid),
            ("k8s.pod.qos", self.qos),
            ("k8s.workload", self.workload),
        ] {
            equal(key, &owner[key], want.into());
        }
        let contact = json!([{"key": "team", "value": self.team}]);
        equal("contact", &owner["contact"], contact);
        let container = &owner["container.name"];
        // Where containers of a pod are summed, none is named.
        let known = container.is_null() && self.containers.len() > 1
            || self.containers.iter().any(|it| container == it);
        let mut sources = json!({
            "k8s.namespace.name": "pod_logs",
            "k8s.pod.name": "pod_logs",
            "k8s.pod.uid": "cgroup_path",
            "k8s.pod.qos": "cgroup_path",
            "k8s.workload": "cri",
            "contact": "cri",
        });
        if !container.is_null() {
            sources["container.id"] = "cgroup_path".into();
            sources["container.name"] = "cri".into();
            sources["container.image.name"] = "cri".into();
        }
        equal("sources", &owner["sources"], sources);
        faults.that(known, || {
            let name = self.pod.full_name();
            format!("{place}: the container of {name} is called {container}")
        });
    }
}

/// Whoever is a pod is one of these, and everything that is said of it is right.
fn owners(expected: &[Expected<'_>], report: &Report, faults: &mut Checks) {
    for place in ["/culprits", "/victims", "/holders"] {
        for entry in report.list(place) {
            let owner = &entry["owner"];
            match expected.iter().find(|it| it.is(owner)) {
                Some(expected) => expected.check(place, owner, faults),
                None => faults.that(owner["k8s.pod.uid"].is_null(), || {
                    format!("{place}: no pod is called so: {owner}")
                }),
            }
        }
    }
}
