//! Windows while something is attached, and nothing at all while it is not.

use std::time::Instant;

use anyhow::Context as _;
use tracer_common::TallyKey;

use crate::{
    agent::{config::Config, words::Words},
    attribute::Owner,
    report::Node,
    session::{Observation, Tick, Windows},
};

/// What attaches the probes.
pub type Attach = Box<dyn Fn(&Config, &Words) -> anyhow::Result<Attached>>;

/// What was attached.
pub struct Attached {
    /// The first window is open.
    pub windows: Windows,
    /// Where.
    pub node: Node,
    /// How many probes; if none, why.
    pub traced: Result<usize, String>,
}

/// Whether, and what, is counted.
#[derive(Default)]
pub(super) struct Counting(Option<Attached>);

impl Counting {
    pub(super) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes what was attached; how many probes, or why none.
    pub(super) fn start(&mut self, attached: Attached) -> Result<usize, String> {
        self.0.insert(attached).traced.clone()
    }

    /// Lets go of every program and map.
    pub(super) fn stop(&mut self) {
        self.0 = None;
    }

    pub(super) fn node(&self) -> Option<&Node> {
        self.0.as_ref().map(|it| &it.node)
    }

    pub(super) fn entries(&self) -> Option<(u64, u64)> {
        self.0.as_ref()?.windows.entries()
    }

    pub(super) fn owner_of(&self, key: &TallyKey) -> Owner {
        match &self.0 {
            Some(attached) => attached.windows.attributor().owner_of(key),
            None => Owner::of_kind(crate::attribute::OwnerKind::Unknown),
        }
    }

    /// Takes what comes until a time; it may be given up at any moment.
    pub(super) async fn rest(&mut self, until: Instant) -> anyhow::Result<()> {
        match &mut self.0 {
            Some(attached) => attached.windows.rest(until).await,
            None => {
                tokio::time::sleep_until(until.into()).await;
                Ok(())
            }
        }
    }

    pub(super) fn tick(&mut self) -> anyhow::Result<Tick> {
        self.0
            .as_mut()
            .context("nothing is attached")?
            .windows
            .tick()
    }

    pub(super) fn turn(&mut self) -> anyhow::Result<Observation> {
        self.0
            .as_mut()
            .context("nothing is attached")?
            .windows
            .turn()
    }

    /// When the window that is open began.
    pub(super) fn since(&self) -> Option<Instant> {
        self.0.as_ref().map(|it| it.windows.since())
    }

    /// The window that has just begun is to tell why owners do not read.
    pub(super) fn observe(&mut self) {
        if let Some(attached) = &mut self.0 {
            attached.windows.observe();
        }
    }

    /// The window that is open ends with a listing of sockets, whatever the last one cost.
    pub(super) const fn list_next(&mut self) {
        if let Some(attached) = &mut self.0 {
            attached.windows.list_next();
        }
    }
}
