//! What is true of a scenario, and whether a report says it. Victims are those whose counters the kernel raised; kind and culprits
//! are known because the scenario made them.

use anyhow::Result;
use serde_json::{Value, json};

use crate::check::Checks;
use crate::report::Report;
use crate::snmp::{ACCOUNTED, Counters};

/// Counters that make no victim: the node's pressure, at whosever hand it came, and merged skbs, which lose nothing.
const NO_HARM: [&str; 3] = [
    "TCPMemoryPressures",
    "TCPMemoryPressuresChrono",
    "TCPRcvCollapsed",
];

/// What must be said.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    /// `/verdict/kind`.
    pub(super) kind: &'static str,
    /// `/verdict/leak`.
    pub(super) leak: Option<&'static str>,
    /// `/verdict/reader`.
    pub(super) reader: Option<&'static str>,
    /// Names of those to be accused, and nobody else.
    pub(super) culprits: Vec<String>,
    /// Whom the kernel has made victims.
    pub(super) victims: Victims,
}

impl Truth {
    /// A kind, for which nobody is to blame.
    #[must_use]
    pub(super) fn new(kind: &'static str, victims: Victims) -> Self {
        Self {
            kind,
            victims,
            ..Self::default()
        }
    }

    /// With a kind of leak.
    #[must_use]
    pub(super) fn leak(mut self, leak: &'static str) -> Self {
        self.leak = Some(leak);
        self
    }

    /// With a reason why it is not read.
    #[must_use]
    pub(super) fn reader(mut self, reader: &'static str) -> Self {
        self.reader = Some(reader);
        self
    }

    /// With somebody to blame.
    #[must_use]
    pub(super) fn culprit(mut self, name: impl Into<String>) -> Self {
        self.culprits.push(name.into());
        self
    }

    /// In words, for the table.
    #[must_use]
    pub(super) fn words(&self) -> String {
        words(
            self.kind,
            self.leak.or(self.reader),
            &self.culprits,
            &self.victims.named,
        )
    }

    /// What the report says else.
    pub(super) fn check(&self, report: &Report) -> Result<()> {
        let mut checks = Checks::new();
        let text = |pointer: &str| report.at(pointer).as_str().unwrap_or_default();
        checks.equal("kind", text("/verdict/kind"), self.kind);
        checks.equal("leak", report.at("/verdict/leak"), &json!(self.leak));
        checks.equal("reader", report.at("/verdict/reader"), &json!(self.reader));
        let mut culprits = names(report, "/culprits");
        let mut wanted = self.culprits.clone();
        culprits.sort();
        culprits.dedup();
        wanted.sort();
        checks.equal("culprits", culprits, wanted);
        let victims = names(report, "/victims");
        for name in &self.victims.named {
            checks.that(victims.contains(name), || {
                format!("{name} is a victim and not named; named are {victims:?}")
            });
        }
        for name in victims {
            checks.that(self.victims.possible.contains(&name), || {
                format!("{name} is called a victim, and the kernel counted nothing there")
            });
        }
        checks.finish()
    }
}

/// What a report says, in words, for the table.
#[must_use]
pub(super) fn said(report: &Report) -> String {
    let text = |pointer: &str| report.at(pointer).as_str();
    words(
        text("/verdict/kind").unwrap_or("no kind"),
        text("/verdict/leak").or(text("/verdict/reader")),
        &names(report, "/culprits"),
        &names(report, "/victims"),
    )
}

fn words(kind: &str, detail: Option<&str>, culprits: &[String], victims: &[String]) -> String {
    let list = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        }
    };
    let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
    format!(
        "{kind}{detail}; culprits: {}; victims: {}",
        list(culprits),
        list(victims)
    )
}

/// Names of the owners in a list.
fn names(report: &Report, pointer: &str) -> Vec<String> {
    report
        .list(pointer)
        .iter()
        .map(|it| name(&it["owner"]))
        .collect()
}

/// A pod's by the names that Kubernetes gave it, anyone else's as shown.
fn name(owner: &Value) -> String {
    let text = |key: &str| owner[key].as_str();
    match (text("k8s.namespace.name"), text("k8s.pod.name")) {
        (Some(namespace), Some(pod)) => format!("{namespace}/{pod}"),
        _ => text("name").unwrap_or("?").to_owned(),
    }
}

/// Who suffered by the kernel's own counters.
#[derive(Clone, Debug, Default)]
pub(super) struct Victims {
    /// Counters rose while tcpress certainly looked.
    pub(super) named: Vec<String>,
    /// Counters rose within a time that begins before its window and ends after it.
    pub(super) possible: Vec<String>,
}

impl Victims {
    /// One more that may suffer, of which no counter of its own tells.
    #[must_use]
    pub(super) fn perhaps(mut self, name: &str) -> Self {
        self.possible.push(name.to_owned());
        self
    }
}

/// A pod whose counters the kernel keeps.
pub(super) trait Counted {
    /// `NAMESPACE/NAME`.
    fn full_name(&self) -> String;
    /// The kernel's counters of its network namespace.
    fn counters(&self) -> Result<Counters>;
    /// Whether that is the node's.
    fn on_host_network(&self) -> bool;
}

/// The kernel's counters of pods around and within the window of a report.
pub(super) struct Watch<'a> {
    pods: Vec<&'a dyn Counted>,
    around: Vec<Counters>,
    within: Option<(Vec<Counters>, Vec<Counters>)>,
}

impl<'a> Watch<'a> {
    /// Before the report begins.
    pub(super) fn new(pods: impl IntoIterator<Item = &'a dyn Counted>) -> Result<Self> {
        // The node's own network tells nothing of one pod.
        let pods: Vec<&dyn Counted> = pods
            .into_iter()
            .filter(|it| !it.on_host_network())
            .collect();
        let around = read(&pods)?;
        Ok(Self {
            pods,
            around,
            within: None,
        })
    }

    /// Now tcpress traces.
    pub(super) fn opened(&mut self) -> Result<()> {
        let now = read(&self.pods)?;
        self.within = Some((now.clone(), now));
        Ok(())
    }

    /// Now the window is about to end. Pods may be gone afterwards.
    pub(super) fn closing(&mut self) -> Result<()> {
        let now = read(&self.pods)?;
        if let Some((_, last)) = &mut self.within {
            *last = now;
        }
        Ok(())
    }

    /// After the report: who suffered. What each counter rose by is said on standard error.
    pub(super) fn victims(&self) -> Result<Victims> {
        let now = read(&self.pods)?;
        let mut victims = Victims::default();
        for (index, pod) in self.pods.iter().enumerate() {
            let name = pod.full_name();
            if let Some((first, last)) = &self.within {
                let grown = last[index].since(&first[index])?;
                let moved = grown.iter().filter(|(_, growth)| *growth > 0);
                let moved: Vec<String> = moved
                    .map(|(name, growth)| format!("{name} {growth}"))
                    .collect();
                eprintln!("lab: the kernel counted for {name}: {}", moved.join(" "));
                if harmed(&first[index], &last[index])? {
                    victims.named.push(name.clone());
                }
            }
            if harmed(&self.around[index], &now[index])? {
                victims.possible.push(name);
            }
        }
        Ok(victims)
    }
}

fn read(pods: &[&dyn Counted]) -> Result<Vec<Counters>> {
    pods.iter().map(|pod| pod.counters()).collect()
}

fn harmed(before: &Counters, after: &Counters) -> Result<bool> {
    let grown = after.since(before)?;
    let counters = ACCOUNTED.iter().filter(|it| !NO_HARM.contains(it));
    Ok(counters.map(|it| grown.get(it)).any(|growth| growth > 0))
}
