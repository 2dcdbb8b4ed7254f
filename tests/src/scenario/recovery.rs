//! A leak is followed until it has recovered.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

use super::Outcome;
use crate::{
    check::Checks, network::Network, pod::Pod, recipe::tcp_mem::TcpMem, report::is_pod, tcpress,
};

/// Pages of `net.ipv4.tcp_mem`; see the demo for why.
const TCP_MEM: [u64; 3] = [2800, 2950, 3072];
/// The file that lets the leak go on.
const GO: &str = "/tmp/lab-recovery-on";
/// How long a window may take to say what it found, tracing begun.
const FOUND: Duration = Duration::from_secs(40);

/// The first window finds the leak, its process ends, and three windows later tcpress ends by itself and says so.
pub(super) fn recovers() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::set(TCP_MEM[0], TCP_MEM[1], TCP_MEM[2])?;
    let leak = leaky.recipe("leak-server --listen 0.0.0.0:8080")?;
    let _ = fs::remove_file(GO);
    let outside = leaky.outside(&format!(
        "tun --to 10.99.0.1:8080 --connections 320 --do feed:18200 --do until:{GO} --do feed:30000"
    ))?;
    outside.step("feed", Duration::from_secs(60))?;
    let running = tcpress::call("report -o json --duration 3s --until-recovered").tracing()?;
    fs::write(GO, "").context("cannot give the word")?;
    let found = running.said(FOUND, |line| line.starts_with("found:"))?;
    outside.stop()?;
    leak.stop()?;
    let _ = fs::remove_file(GO);
    let report = tcpress::parse(&running.finish()?)?;

    let mut checks = Checks::new();
    checks.that(found.contains(&leaky.full_name()), || {
        format!("the first window does not name the leak: {found}")
    });
    let recovery = |place: &str| report.at(&format!("/recovery{place}"));
    checks.equal("the kind then", recovery("/kind"), &"tcp_mem_leak".into());
    checks.equal("recovered", recovery("/recovered"), &true.into());
    checks.equal("windows that it held", recovery("/held_windows"), &3.into());
    let held = report.list("/recovery/items").iter();
    let held: Vec<_> = held.filter(|item| item["figure"] == "held_bytes").collect();
    checks.that(
        held.len() == 1 && is_pod(&held[0]["owner"], &leaky) && held[0]["after"] == 0.0,
        || format!("the leak still holds something: {held:?}"),
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}
