//! Pods that stay, and suffer now and then.

use anyhow::{Context, Result};

use super::SOON;
use crate::agent::Page;
use crate::e2e::node::outside;
use crate::e2e::pod::Pod as RealPod;
use crate::e2e::truth::Counted as _;
use crate::netns::Recipe;
use crate::pod::Pod;
use crate::scenario::flood::{SERVER, SETTLE};
use crate::snmp::Counters;

/// Seconds between two bursts of refusals at a pod, and segments of one.
const BURSTS: u64 = 10;
const BURST: u64 = 20;

/// Namespace and name of a pod.
pub(super) type Names = (String, String);

/// Refusals of a pod, as a page tells them.
pub(super) fn of_pod(page: &Page, (namespace, pod): &Names) -> u64 {
    let labels = [("namespace", namespace.as_str()), ("pod", pod)];
    page.sum("tcpress_refusals_total", &labels) as u64
}

/// Pods that stay and suffer now and then, each with its clients.
pub(super) struct Staying<'a> {
    own: Vec<(&'a Pod, Counters)>,
    real: Vec<(&'a RealPod, Counters)>,
    clients: Vec<Recipe>,
}

impl<'a> Staying<'a> {
    pub(super) fn new(own: &[&'a Pod], real: &'a [RealPod]) -> Result<Self> {
        let own = own.iter().map(|pod| Ok((*pod, pod.counters()?)));
        let real = real.iter().map(|pod| Ok((pod, pod.counters()?)));
        Ok(Self {
            own: own.collect::<Result<_>>()?,
            real: real.collect::<Result<_>>()?,
            clients: Vec::new(),
        })
    }

    /// Begins bursts of refusals that go on for so many seconds, and waits for the first.
    pub(super) fn suffer(&mut self, seconds: u64) -> Result<()> {
        let bursts = format!(" --do repeat:{BURST}x1 --do pause:{}", BURSTS * 1000);
        let steps = format!(
            "--do in-order:20x1000 --do await{}",
            bursts.repeat((seconds / BURSTS).max(1) as usize)
        );
        for (pod, _) in &self.own {
            let client = pod.outside(&format!("tun --to {SERVER} {steps}"))?;
            self.clients.push(client);
        }
        for (number, (pod, _)) in self.real.iter().enumerate() {
            self.clients
                .push(outside(50 + number, pod.endpoint(7000), &steps)?);
        }
        for client in &self.clients {
            client.step("repeat", SOON)?;
        }
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// Waits until no more come.
    pub(super) fn done(&self) -> Result<()> {
        for client in &self.clients {
            client.done(SOON).context("the bursts do not end")?;
        }
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// What the kernel has refused of each.
    pub(super) fn refused(&self) -> Result<Vec<(Names, u64)>> {
        let name = |(namespace, pod): (&str, &str)| (namespace.to_owned(), pod.to_owned());
        let own = self.own.iter().map(|(pod, before)| {
            Ok((name(pod.names()), pod.counters()?.since(before)?.refusals()))
        });
        let real = self.real.iter().map(|(pod, before)| {
            Ok((name(pod.names()), pod.counters()?.since(before)?.refusals()))
        });
        own.chain(real).collect()
    }
}
