//! The incident on a node that a real kubelet runs: its pods, cgroups, limits and folders are those that Kubernetes makes, not the lab's.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::kubelet::{Kubelet, NODE_NAME, StaticPod, container, manifest};
use super::leaks::{End, LOOK, Leak, WHOLE, small_tcp_mem};
use super::node::report;
use super::runtime::Runtime;
use super::scenario::Played;
use super::truth::{Counted, Truth, Watch};
use super::{image, node};
use crate::check::Checks;
use crate::report::Report;

/// How long Redis's client is watched.
const PHASE: Duration = Duration::from_secs(10);

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
    let healthy = answers(&pods.frontend, PHASE)?;
    let limits = small_tcp_mem()?;
    let leak = Leak::start(0, pods.leaky.endpoint(8080), WHOLE, End::Close)?;
    let watched = [&pods.redis, &pods.frontend, &pods.leaky, &pods.worker];
    let mut watch = Watch::new(watched.map(|pod| pod as &dyn Counted))?;
    let running = report()?;
    watch.opened()?;
    leak.go_on()?;
    std::thread::sleep(LOOK);
    watch.closing()?;
    let report = running.report()?;
    // Counters of the node's own network tell nothing of one pod.
    let victims = watch.victims()?.perhaps(&pods.agent.full_name());
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("close_wait")
        .culprit(pods.leaky.full_name());
    let mut faults = Checks::new();
    names(&pods, &report, &mut faults);
    checked_neighbours(&report, &mut faults);
    let held = node::pages()?;
    kubelet.remove(&pods.leaky)?;
    drop(limits);
    std::thread::sleep(Duration::from_secs(2));
    let left = node::pages()?;
    faults.that(left * 4 < held, || {
        format!("the pod is gone, and of {held} pages of TCP memory {left} are still taken")
    });
    let recovered = answers(&pods.frontend, PHASE)?;
    faults.that(recovered * 2 > healthy, || {
        format!(
            "Redis's client got {healthy} answers before, and {recovered} once the leak was gone"
        )
    });
    eprintln!(
        "lab: {held} pages held, {left} after the manifest was gone; {healthy} answers before, {recovered} after"
    );
    Ok(Played {
        truth,
        report,
        faults,
    })
}

impl Pods {
    /// A victim of class Guaranteed and its client, the leak (Burstable), a pod of two containers and one on the node's network.
    fn new(kubelet: &mut Kubelet) -> Result<Self> {
        let lab =
            |name: &str, words: &str| container(name, image::LAB, &format!("/lab recipe {words}"));
        let server =
            "/usr/bin/redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --appendonly no";
        let mut server = container("redis", image::REDIS, server);
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
        let mut agent = manifest("infra/agent", "infra", &both(7002))?;
        agent["spec"]["hostNetwork"] = true.into();
        let agent = kubelet.run(&agent)?;
        agent.line("server", "\"ready\"")?;
        Ok(Self {
            redis,
            frontend,
            leaky,
            worker,
            agent,
        })
    }
}

/// Everything that is said of the pods is as the kubelet has made it.
fn names(pods: &Pods, report: &Report, faults: &mut Checks) {
    let expected = [
        ("/culprits", &pods.leaky, "app", "payments", "burstable"),
        ("/victims", &pods.leaky, "app", "payments", "burstable"),
        ("/victims", &pods.redis, "redis", "storage", "guaranteed"),
        ("/victims", &pods.frontend, "app", "web", "besteffort"),
    ];
    for (list, pod, container, team, qos) in expected {
        let name = pod.full_name();
        let of_pod = |it: &&Value| it["owner"]["k8s.pod.uid"] == pod.uid.as_str();
        let Some(found) = report.list(list).iter().find(of_pod) else {
            // Who suffers is judged by the truth.
            faults.that(list == "/victims", || {
                format!("{list}: no owner has the uid of {name}, {}", pod.uid)
            });
            continue;
        };
        let owner = &found["owner"];
        let shown = owner["k8s.pod.name"].as_str().unwrap_or_default();
        let namespace = owner["k8s.namespace.name"].as_str().unwrap_or_default();
        faults.equal(
            &format!("{list}: name"),
            format!("{namespace}/{shown}"),
            name.clone(),
        );
        let container = json!(container);
        faults.equal(
            &format!("{name}: container"),
            &owner["container.name"],
            &container,
        );
        faults.equal(
            &format!("{name}: QoS class"),
            &owner["k8s.pod.qos"],
            &json!(qos),
        );
        let contact = owner["contact"].to_string();
        faults.that(contact.contains(team), || {
            format!("{name}: the contact is {contact}, its label says {team}")
        });
    }
}

/// Whoever is named is a pod of the kubelet, by the name that it has there; what lies in no pod has no name of one.
fn checked_neighbours(report: &Report, faults: &mut Checks) {
    for holder in report.list("/holders") {
        let name = &holder["owner"]["k8s.pod.name"];
        let whole = name.as_str().is_none_or(|name| name.ends_with(NODE_NAME));
        faults.that(whole, || format!("a holder is called {name}"));
    }
}

/// What Redis's client is answered within a time.
fn answers(client: &StaticPod, time: Duration) -> Result<u64> {
    let before = number(&client.last("app")?)?;
    std::thread::sleep(time);
    Ok(number(&client.last("app")?)? - before)
}

fn number(line: &Value) -> Result<u64> {
    let answers = line["answers"].as_u64();
    answers.with_context(|| format!("a client says no answers: {line}"))
}
