//! The node of all scenarios: containerd, and pods that live from the first scenario to the last. Redis and its client are who
//! suffers; others are bystanders.

use std::cell::{Cell, RefCell};
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::container::Container;
use super::pod::{Pod, SHARED, Spec};
use super::runtime::Runtime;
use crate::netns::{self, Recipe};
use crate::sockstat::Usage;
use crate::tcpress::{self, Running};

/// How long the node may take to be as it was before a scenario.
const SETTLING: Duration = Duration::from_secs(60);
/// Pages of TCP memory that may be more than before: per-CPU reserves of two processors (`net.core.mem_pcpu_rsv`), and traffic.
const MORE_PAGES: u64 = 2 * 256 + 128;
/// Sockets that may be more than before: connections that the client has made anew wait out their end.
const MORE_SOCKETS: u64 = 16;

/// What Redis's client has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Requests that were answered.
    pub(super) answers: u64,
    /// Requests that ran into their time limit.
    pub(super) timeouts: u64,
}

impl Work {
    /// What it does within a time; `last` gives the last line of its output.
    pub(super) fn within(time: Duration, last: impl Fn() -> Result<Value>) -> Result<Self> {
        let before = Self::said(&last()?)?;
        std::thread::sleep(time);
        let after = Self::said(&last()?)?;
        Ok(Self {
            answers: after.answers - before.answers,
            timeouts: after.timeouts - before.timeouts,
        })
    }

    fn said(line: &Value) -> Result<Self> {
        let number = |name: &str| {
            let value = line[name].as_u64();
            value.with_context(|| format!("Redis's client says no {name}: {line}"))
        };
        Ok(Self {
            answers: number("answers")?,
            timeouts: number("timeouts")?,
        })
    }
}

/// The node.
pub(super) struct Node {
    /// Its container runtime.
    pub(super) runtime: Rc<Runtime>,
    /// `cache/redis-0`: Debian's redis-server.
    pub(super) redis: Pod,
    /// `web/frontend`: its client.
    pub(super) frontend: Pod,
    /// `batch/worker`: has nothing to do with anything.
    pub(super) worker: Pod,
    client: Container,
    server: RefCell<Container>,
    restarts: Cell<u32>,
    idle: Usage,
}

impl Node {
    /// Starts containerd and makes the pods that stay.
    pub(super) fn new() -> Result<Self> {
        let runtime = Rc::new(Runtime::start()?);
        fs::create_dir_all(SHARED)?;
        let redis = Pod::new(&runtime, Spec::new("cache/redis-0").label("app", "redis"))?;
        let server = redis.redis(0)?;
        let frontend = Pod::new(&runtime, Spec::new("web/frontend").label("app", "frontend"))?;
        let client = frontend.recipe(
            "app",
            &format!("redis-client --to {} --connections 6", redis.endpoint(6379)),
        )?;
        let worker = Pod::new(&runtime, Spec::new("batch/worker").label("app", "worker"))?;
        worker.recipe("server", "echo-server --listen 0.0.0.0:7001")?;
        let client_of_worker = "echo-client --to 127.0.0.1:7001 --connections 2 --pause 200";
        worker.recipe("client", client_of_worker)?;
        // Until the first requests are answered, nothing is as it usually is.
        std::thread::sleep(Duration::from_secs(2));
        Ok(Self {
            runtime,
            redis,
            frontend,
            worker,
            client,
            server: RefCell::new(server),
            restarts: Cell::new(0),
            idle: Usage::read()?,
        })
    }

    /// The pods that stay.
    #[must_use]
    pub(super) fn residents(&self) -> [&Pod; 3] {
        [&self.redis, &self.frontend, &self.worker]
    }

    /// Makes a pod.
    pub(super) fn pod(&self, spec: Spec) -> Result<Pod> {
        let name = format!("{}/{}", spec.namespace, spec.name);
        Pod::new(&self.runtime, spec).with_context(|| format!("cannot make the pod {name}"))
    }

    /// Ends Redis, and starts it again in the same pod, as the kubelet does.
    pub(super) fn restart_redis(&self) -> Result<()> {
        self.restarts.set(self.restarts.get() + 1);
        self.server.borrow().stop()?;
        self.server.replace(self.redis.redis(self.restarts.get())?);
        Ok(())
    }

    /// Leaves Redis's client so many thousandths of a processor.
    pub(super) fn limit_work(&self, thousandths: i64) -> Result<()> {
        self.client.limit_cpu(thousandths)
    }

    /// What Redis's client does within a time.
    pub(super) fn work(&self, time: Duration) -> Result<Work> {
        Work::within(time, || self.client.last())
    }

    /// Waits until no pod is left but those that stay, and sockets and their memory are as they were.
    pub(super) fn settle(&self) -> Result<()> {
        let sandboxes = self.runtime.sandboxes()?.len();
        ensure!(
            sandboxes == self.residents().len(),
            "{sandboxes} pods are left, {} are to stay",
            self.residents().len()
        );
        let end = Instant::now() + SETTLING;
        loop {
            let now = Usage::read()?;
            let settled = now.pages <= self.idle.pages + MORE_PAGES
                && now.allocated <= self.idle.allocated + MORE_SOCKETS
                && now.orphans <= self.idle.orphans;
            let answered = settled && self.work(Duration::from_secs(1))?.answers > 0;
            if answered {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("the node does not settle: {now:?}, before {:?}", self.idle);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// Pages of TCP memory that the node has taken.
pub(super) fn pages() -> Result<u64> {
    Ok(Usage::read()?.pages)
}

/// Waits until not more pages are taken than before, as far as processors keep no reserve; returns how many are.
pub(super) fn pages_given_back(before: u64) -> Result<u64> {
    let end = Instant::now() + SETTLING;
    loop {
        let now = pages()?;
        if now <= before + MORE_PAGES {
            return Ok(now);
        }
        ensure!(
            Instant::now() < end,
            "of TCP memory {now} pages are still taken, {before} were before"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Starts a report, as a person on the node would, and waits until it traces. It ends when it is asked for.
pub(super) fn report() -> Result<Running> {
    tcpress::call("report -o json --duration 300s").tracing()
}

/// Clients somewhere outside: a TUN device of the node, by which no kernel socket stands at their end. `number` tells several
/// apart.
pub(super) fn outside(number: usize, to: std::net::SocketAddrV4, rest: &str) -> Result<Recipe> {
    // Networks for measurements (RFC 2544).
    let network = format!("198.18.{number}");
    netns::node_recipe(&format!(
        "tun --device outside{number} --kernel {network}.1 --client {network}.2 --to {to} {rest}"
    ))
}
