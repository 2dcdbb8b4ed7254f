//! Leaks that fill the node's TCP memory, each told from the incident by one thing: who leaks, beside whom, how the sockets end, and
//! what becomes of the leaking pod or of a victim meanwhile.

use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::node::{Node, outside, report};
use super::pod::{NODE, Pod, SHARED, Spec};
use super::scenario::Played;
use super::truth::{Counted, Truth, Victims, Watch};
use crate::cgroup;
use crate::check::Checks;
use crate::go::Go;
use crate::netns::{self, Recipe};
use crate::recipe::tcp_mem::TcpMem;
use crate::report::Report;

/// Connections of a leak that has the memory for itself. Each gets [`EARLY_BYTES`] before the window: about 8 pages with overhead,
/// together more than four fifths of it.
pub(super) const WHOLE: u32 = 320;
const EARLY_BYTES: u32 = 18_200;
/// Connections of the same leak that are fed within the window. Each is offered [`LATE_BYTES`], together more than is left.
const LATE: u32 = 100;
const LATE_BYTES: u32 = 30_000;
/// How long clients outside may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long tcpress looks once something goes on.
pub(super) const LOOK: Duration = Duration::from_secs(8);
/// How long a pod has to be gone before the window ends, to be one that died a moment ago.
const MOMENT: Duration = Duration::from_secs(3);

/// How clients end their connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// They close: what does not close too stays in CLOSE-WAIT.
    Close,
    /// They reset: what is not closed stays in no table.
    Reset,
}

/// A leak, fed by clients outside: most of it at once, the rest when it is told to go on.
pub(super) struct Leak {
    go: Go,
    _early: Recipe,
    late: Recipe,
}

impl Leak {
    /// Feeds the server at `to`. `number` tells several leaks apart; `connections` are those of the first part.
    pub(super) fn start(
        number: usize,
        to: SocketAddrV4,
        connections: u32,
        end: End,
    ) -> Result<Self> {
        let go = Go::at(Path::new(SHARED).join(format!("leak-{number}")));
        let end = match end {
            End::Close => "close",
            End::Reset => "reset",
        };
        let early = format!("--connections {connections} --do feed:{EARLY_BYTES} --do {end}");
        let early = outside(2 * number, to, &early)?;
        let late =
            format!("--connections {LATE} --do until:{go} --do feed:{LATE_BYTES} --do {end}");
        let late = outside(2 * number + 1, to, &late)?;
        early.done(PATIENCE)?;
        Ok(Self {
            go,
            _early: early,
            late,
        })
    }

    /// Lets it go on, until no more is taken.
    pub(super) fn go_on(&self) -> Result<()> {
        self.go.give()?;
        self.late.step("feed", PATIENCE)
    }
}

/// What tcpress says while `meanwhile` happens, and who suffers in it; `pods` are watched besides those that stay.
pub(super) fn look(
    node: &Node,
    pods: &[&Pod],
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<(Report, Victims)> {
    let pods = node.residents().into_iter().chain(pods.iter().copied());
    let mut watch = Watch::new(pods.map(|pod| pod as &dyn Counted))?;
    let running = report()?;
    watch.opened()?;
    meanwhile()?;
    watch.closing()?;
    let report = running.report()?;
    Ok((report, watch.victims()?))
}

fn played(truth: Truth, report: Report) -> Result<Played> {
    Ok(Played {
        truth,
        report,
        faults: Checks::new(),
    })
}

/// One leak has the memory for itself; what else is special is left to `meanwhile`.
fn alone(
    node: &Node,
    to: SocketAddrV4,
    pods: &[&Pod],
    end: End,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<(Report, Victims)> {
    let _limits = TcpMem::small()?;
    let leak = Leak::start(0, to, WHOLE, end)?;
    look(node, pods, || {
        leak.go_on()?;
        std::thread::sleep(LOOK);
        meanwhile()
    })
}

/// The leaking server as the container of a pod.
pub(super) fn leaky(node: &Node, spec: Spec) -> Result<Pod> {
    let pod = node.pod(spec)?;
    pod.recipe("app", "leak-server --listen 0.0.0.0:8080")?;
    Ok(pod)
}

/// Beside the leak somebody else holds a lot, and works: data goes out as fast as it is read at the other end.
pub(super) fn honest_holder(node: &Node) -> Result<Played> {
    let honest = node.pod(Spec::new("media/uploader").label("app", "uploader"))?;
    // Those who read must go before the network of those who send does: what is not sent yet would stay behind as orphans.
    let edge = node.pod(Spec::new("cdn/edge").label("app", "edge"))?;
    let reads = "slow-reader --listen 0.0.0.0:7002 --rcvbuf 16384 --rate 20000";
    edge.recipe("app", reads)?;
    let to = edge.endpoint(7002);
    honest.recipe(
        "app",
        &format!(
            "leak-client --to {to} --connections 24 --bytes 100000000 --send-buffer 100000 --patience 600000"
        ),
    )?;
    let leaky = leaky(node, Spec::new("shop/leaky").label("app", "leaky"))?;
    // Until the send queues are full.
    std::thread::sleep(Duration::from_secs(3));
    let _limits = TcpMem::small()?;
    let leak = Leak::start(0, leaky.endpoint(8080), WHOLE * 5 / 8, End::Close)?;
    let (report, victims) = look(node, &[&edge, &honest, &leaky], || {
        leak.go_on()?;
        std::thread::sleep(LOOK);
        Ok(())
    })?;
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("close_wait")
        .culprit(leaky.full_name());
    played(truth, report)
}

/// The leaking pod shares the node's network.
pub(super) fn host_network(node: &Node) -> Result<Played> {
    let agent = leaky(node, Spec::new("infra/agent").on_host_network())?;
    let (report, victims) = alone(node, agent.endpoint(8080), &[], End::Close, || Ok(()))?;
    let truth = Truth::new("tcp_mem_leak", victims.perhaps(&agent.full_name()))
        .leak("close_wait")
        .culprit(agent.full_name());
    played(truth, report)
}

/// Who leaks is a service of the node, not a pod.
pub(super) fn outside_kubernetes(node: &Node) -> Result<Played> {
    const UNIT: &str = "backup.service";
    let folder = cgroup::in_first("system.slice").join(UNIT);
    cgroup::create(&folder)?;
    let service = netns::start_recipe(
        UNIT,
        "leak-server --listen 0.0.0.0:8080",
        Some(&folder),
        None,
    )?;
    let to = SocketAddrV4::new(NODE, 8080);
    let seen = alone(node, to, &[], End::Close, || Ok(()));
    drop(service);
    cgroup::remove(&folder)?;
    let (report, victims) = seen?;
    let truth = Truth::new("tcp_mem_leak", victims.perhaps(UNIT))
        .leak("close_wait")
        .culprit(UNIT);
    played(truth, report)
}

/// Two pods leak, each its half.
pub(super) fn two_culprits(node: &Node) -> Result<Played> {
    let leaky = leaky(node, Spec::new("shop/leaky").label("app", "leaky"))?;
    let other = self::leaky(node, Spec::new("billing/invoices").label("app", "invoices"))?;
    let _limits = TcpMem::small()?;
    let leaks = [(0, &leaky), (1, &other)]
        .map(|(number, pod)| Leak::start(number, pod.endpoint(8080), WHOLE / 2, End::Close));
    let [one, two] = leaks;
    let (one, two) = (one?, two?);
    let (report, victims) = look(node, &[&leaky, &other], || {
        one.go_on()?;
        two.go_on()?;
        std::thread::sleep(LOOK);
        Ok(())
    })?;
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("close_wait")
        .culprit(leaky.full_name())
        .culprit(other.full_name());
    played(truth, report)
}

/// The leaking pod is gone before the window ends.
pub(super) fn died(node: &Node) -> Result<Played> {
    let leaky = leaky(node, Spec::new("shop/leaky").label("app", "leaky"))?;
    let (name, to) = (leaky.full_name(), leaky.endpoint(8080));
    let (report, victims) = alone(node, to, &[], End::Close, || {
        leaky.remove()?;
        std::thread::sleep(MOMENT);
        Ok(())
    })?;
    let truth = Truth::new("tcp_mem_leak", victims.perhaps(&name))
        .leak("close_wait")
        .culprit(name);
    played(truth, report)
}

/// Redis is restarted while it suffers.
pub(super) fn restarted(node: &Node) -> Result<Played> {
    let leaky = leaky(node, Spec::new("shop/leaky").label("app", "leaky"))?;
    let (report, victims) = alone(node, leaky.endpoint(8080), &[&leaky], End::Close, || {
        node.restart_redis()?;
        std::thread::sleep(LOOK / 2);
        Ok(())
    })?;
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("close_wait")
        .culprit(leaky.full_name());
    played(truth, report)
}

/// The clients of the leaking pod reset their connections, with data unread: no table of the kernel lists the sockets any more.
pub(super) fn reset_by_peer(node: &Node) -> Result<Played> {
    let leaky = leaky(node, Spec::new("shop/leaky").label("app", "leaky"))?;
    let (report, victims) = alone(node, leaky.endpoint(8080), &[&leaky], End::Reset, || {
        let listed = crate::process::run(std::process::Command::new("ss").args(["-s"]))?;
        eprintln!(
            "lab: ss says: {}",
            listed.lines().nth(1).unwrap_or_default()
        );
        Ok(())
    })?;
    let truth = Truth::new("tcp_mem_leak", victims)
        .leak("reset_unread")
        .culprit(leaky.full_name());
    played(truth, report)
}
