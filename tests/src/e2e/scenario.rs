//! The list of scenarios.

use anyhow::{Context, Result};

use super::node::Node;
use super::truth::Truth;
use super::{churn, incident, leaks, readers, soak, wire};
use crate::check::Checks;
use crate::report::Report;

/// One scenario.
pub(super) struct Scenario {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What happens, in a line.
    pub(super) about: &'static str,
    /// Plays it.
    pub(super) play: fn(&Node) -> Result<Played>,
}

/// What happened, and what tcpress said of it.
pub(super) struct Played {
    /// What happened.
    pub(super) truth: Truth,
    /// What was said.
    pub(super) report: Report,
    /// What else did not hold.
    pub(super) faults: Checks,
}

const fn scenario(
    name: &'static str,
    about: &'static str,
    play: fn(&Node) -> Result<Played>,
) -> Scenario {
    Scenario { name, about, play }
}

/// All, in the order in which they are played.
pub(super) const SCENARIOS: &[Scenario] = &[
    scenario(
        "incident",
        "a pod never closes; Redis and its client suffer, and recover when that pod is stopped",
        incident::incident,
    ),
    scenario("healthy", "all is well", wire::healthy),
    scenario(
        "small_buffer",
        "a reader with a small buffer takes its time",
        readers::small_buffer,
    ),
    scenario(
        "throttled",
        "a reader gets less processor time than its work takes",
        readers::throttled,
    ),
    scenario(
        "memory_limit",
        "a pod's memory limit leaves no room for what its sockets receive",
        readers::memory_limit,
    ),
    scenario(
        "honest_holder",
        "a pod leaks beside one that holds a lot and works",
        leaks::honest_holder,
    ),
    scenario(
        "host_network",
        "the leaking pod shares the node's network",
        leaks::host_network,
    ),
    scenario(
        "outside_kubernetes",
        "a service of the node leaks",
        leaks::outside_kubernetes,
    ),
    scenario("two_culprits", "two pods leak", leaks::two_culprits),
    scenario(
        "died",
        "the leaking pod is gone before the window ends",
        leaks::died,
    ),
    scenario(
        "restarted",
        "Redis is restarted while it suffers from a leak",
        leaks::restarted,
    ),
    scenario(
        "reset_by_peer",
        "clients reset their connections to a pod that never closes: no table lists its sockets",
        leaks::reset_by_peer,
    ),
    scenario(
        "orphan_flood",
        "a pod closes more connections with unsent data than the node keeps",
        wire::orphan_flood,
    ),
    scenario(
        "lossy_link",
        "the link to a pod loses and delays segments",
        wire::lossy_link,
    ),
];

/// One that has no verdict to judge, and runs only where somebody names it.
pub(super) struct Trial {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// Runs it.
    pub(super) run: fn(&Node) -> Result<()>,
}

/// All of them.
pub(super) const TRIALS: &[Trial] = &[
    Trial {
        name: "churn",
        run: churn::churn,
    },
    Trial {
        name: "agent_soak",
        run: soak::agent_soak,
    },
];

/// The scenario of a name.
pub(super) fn find(name: &str) -> Result<&'static Scenario> {
    let mut all = SCENARIOS.iter();
    all.find(|it| it.name == name).with_context(|| {
        let trials = TRIALS.iter().map(|it| it.name);
        let names: Vec<&str> = SCENARIOS.iter().map(|it| it.name).chain(trials).collect();
        format!(
            "there is no scenario {name}; there are {}",
            names.join(", ")
        )
    })
}
