//! Many at once: network namespaces that come and go together, and more sockets than anything is kept of.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::flood::{self, SETTLE, Watch, slow_reader};
use super::loads::PATIENCE;
use super::{Outcome, number};
use crate::check::Checks;
use crate::go::Go;
use crate::netns::Recipe;
use crate::network::Network;
use crate::pod::Pod;
use crate::recipe::tcp_mem::TcpMem;
use crate::report::is_pod;
use crate::snmp::Delta;
use crate::tcpress;

/// A slow reader in a pod and a client that is refused, both under way.
fn busy(pod: &Pod) -> Result<[Recipe; 2]> {
    let reader = slow_reader(pod)?;
    let client = flood::begin(pod, 2, "repeat:40x1 retry:1x1")?;
    Ok([reader, client])
}

/// Two pods are there, two are born; of each pair one is gone before the report. All are refused at the same time.
pub(super) fn netns_many() -> Result<Outcome> {
    let network = Network::new()?;
    let pod = |name: &str| Pod::new(&network, "shop", name);
    let (stays, leaves) = (pod("stays")?, pod("leaves")?);
    let report = tcpress::report("")?;
    let (born, brief) = (pod("born")?, pod("brief")?);
    let pods = [&stays, &leaves, &born, &brief];
    let watches = pods.map(Watch::new);
    let recipes = pods.map(busy);
    let recipes = recipes.into_iter().collect::<Result<Vec<_>>>()?;
    for [_, client] in &recipes {
        client.done(PATIENCE)?;
    }
    std::thread::sleep(SETTLE);
    let kernel: Vec<Delta> = watches
        .into_iter()
        .map(|watch| watch?.grown())
        .collect::<Result<_>>()?;
    let netns = pods.map(Pod::netns);
    let netns = netns.into_iter().collect::<Result<Vec<_>>>()?;
    // tcpress looks every second, so it has read the counters once more when they leave.
    std::thread::sleep(Duration::from_secs(4));
    drop(recipes);
    drop(leaves);
    drop(brief);
    std::thread::sleep(Duration::from_secs(1));
    let report = report.report()?;
    let mut checks = Checks::new();
    let states = ["present", "gone", "born", "gone"];
    for ((netns, kernel), state) in netns.iter().zip(&kernel).zip(states) {
        for counter in ["TCPOFODrop", "TCPRcvQDrop", "PruneCalled"] {
            let grown = kernel.get(counter);
            let row = report.row(netns, counter).unwrap_or(&Value::Null);
            let what = format!("{counter} of one that is {state}");
            checks.above_zero(&what, grown);
            checks.equal(&format!("state of {what}"), &row["state"], &state.into());
            for side in ["kernel", "attributed"] {
                let said = row[side].as_u64();
                checks.equal(&format!("{what}, {side}"), said, Some(grown));
            }
            let residual = if state == "gone" {
                Value::Null
            } else {
                0.into()
            };
            checks.equal(&format!("residual of {what}"), &row["residual"], &residual);
        }
    }
    let victims = report.list("/victims").iter();
    let named = victims
        .filter(|victim| victim["owner"]["kind"] == "pod")
        .count();
    checks.equal("pods among the victims", named, 4);
    checks.finish()?;
    Ok(Outcome::Pass)
}

/// A server with very many connections, each of which holds some memory and is refused once by `tcp_mem`. How many, the environment
/// may say in `TCPRESS_SOCKETS`.
pub(super) fn many_sockets() -> Result<Outcome> {
    let wanted = number("TCPRESS_SOCKETS", 1_000)?;
    let patience = PATIENCE + Duration::from_millis(100 * wanted);
    let go = Go::new("crowd");
    let network = Network::new()?;
    let pod = Pod::new(&network, "shop", "crowded")?;
    let _server = pod.recipe("leak-server --listen 0.0.0.0:7000")?;
    let client = pod.outside(&format!(
        "tun --to 10.99.0.1:7000 --connections {wanted} --do in-order:1x1000 --do until:{go} --do in-order:4x1000"
    ))?;
    client.step("in-order", patience)?;
    std::thread::sleep(SETTLE);
    let report = tcpress::call("report -o json --selfcheck --duration 6000s").tracing()?;
    let watch = Watch::new(&pod)?;
    let limits = TcpMem::set(1, 2, 3)?;
    go.give()?;
    client.done(patience)?;
    std::thread::sleep(SETTLE);
    let kernel = watch.grown()?;
    let start = Instant::now();
    let report = report.report()?;
    drop(limits);
    let held = report.list("/holders").iter();
    let mut held = held.filter(|holder| is_pod(&holder["owner"], &pod));
    let sockets = held.next().and_then(|holder| holder["sockets"].as_u64());
    eprintln!(
        "lab: {wanted} sockets, {} refusals; the report took {:.1} s; {}; {}",
        kernel.refusals(),
        start.elapsed().as_secs_f64(),
        report.at("/plan/maps"),
        report.at("/losses"),
    );
    let mut checks = Checks::new();
    // What fits into pages that a socket has already is admitted: of four segments that take more than a page, not all.
    checks.that(kernel.refusals() > wanted, || {
        format!("only {} of {wanted} were refused", kernel.refusals())
    });
    checks.that(sockets >= Some(wanted), || {
        format!("{sockets:?} sockets were found of {wanted}")
    });
    report.check_refusals(&mut checks, &pod, &kernel);
    report.check_limit(&mut checks, &pod, "tcp_mem", kernel.refusals());
    report.check_rows(&mut checks, "the crowded pod", &pod.netns()?, &kernel);
    report.check_at_rest(&mut checks);
    checks.finish()?;
    Ok(Outcome::Pass)
}
