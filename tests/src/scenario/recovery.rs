//! A leak is followed until it has recovered.

use std::time::Duration;

use anyhow::Result;

use super::Outcome;
use super::leak::Leak;
use crate::{
    check::Checks, network::Network, pod::Pod, recipe::tcp_mem::TcpMem, report::is_pod, tcpress,
};

/// How long a window may take to say what it found, tracing begun.
const FOUND: Duration = Duration::from_secs(90);

/// The first window finds the leak, its process ends, and three windows later tcpress ends by itself and says so.
pub(super) fn recovers() -> Result<Outcome> {
    let network = Network::new()?;
    let leaky = Pod::new(&network, "shop", "leaky")?;
    let _limits = TcpMem::small()?;
    let leak = Leak::start(&leaky)?;
    let running = tcpress::call("report -o json --duration 3s --until-recovered").tracing()?;
    leak.go_on()?;
    let found = running.said(FOUND, |line| line.starts_with("found:"))?;
    leak.stop()?;
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
