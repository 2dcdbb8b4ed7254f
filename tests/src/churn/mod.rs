//! Pods that come and go while segments for them are refused: what each truly suffered, by the kernel's own count in its network
//! namespace while it was there, against what a report says of it when it is gone.
//!
//! Whoever can make pods that suffer can have them judged: the lab makes them as kubelet and runtime leave them ([`LabPods`]),
//! another [`Maker`] may ask a real runtime for them.

mod judge;
mod lab;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Result, ensure};

pub use judge::{Judgement, judge};
pub use lab::LabPods;

use crate::snmp::Counters;

/// Who a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Kubernetes name.
    pub name: String,
    /// Kubernetes uid.
    pub uid: String,
}

/// A pod for as long as it is there: it goes when it is dropped, with everything that it was made of.
pub trait Sufferer {
    /// Who it is.
    fn identity(&self) -> Identity;

    /// Has so many segments for it refused, and waits until they are.
    fn suffer(&mut self, segments: u64) -> Result<()>;

    /// The kernel's counters of its network namespace, which nobody else has used.
    fn counters(&self) -> Result<Counters>;
}

/// Whoever makes pods.
pub trait Maker: Sync {
    /// Makes one; no two get the same number.
    fn make(&self, number: usize) -> Result<Box<dyn Sufferer>>;
}

/// What happened to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Who it was.
    pub identity: Identity,
    /// Refusals that the kernel counted in its network namespace up to its end.
    pub refusals: u64,
}

/// Pods of one maker.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Who makes them.
    pub maker: &'a dyn Maker,
    /// How many.
    pub pods: usize,
}

/// Makes and removes all pods, several at a time; each has so many segments refused in between.
pub fn churn(batches: &[Batch<'_>], workers: usize, segments: u64) -> Result<Vec<Truth>> {
    let jobs: Vec<(&dyn Maker, usize)> = batches
        .iter()
        .flat_map(|batch| (0..batch.pods).map(|number| (batch.maker, number)))
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Ok(Vec::new()));
    let work = || {
        while let Some((maker, number)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let truth = live(*maker, *number, segments);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *done, truth) {
                (Ok(truths), Ok(truth)) => truths.push(truth),
                (Ok(_), Err(error)) => {
                    *done = Err(error.context(format!("pod {number}")));
                    break;
                }
                (Err(_), _) => break,
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One pod from its making to its end.
pub fn live(maker: &dyn Maker, number: usize, segments: u64) -> Result<Truth> {
    let mut pod = maker.make(number)?;
    let birth = pod.counters()?;
    pod.suffer(segments)?;
    let kernel = pod.counters()?.since(&birth)?;
    let refusals = kernel.refusals();
    ensure!(
        refusals >= segments,
        "the kernel refused {refusals} of {segments} segments: {kernel}"
    );
    Ok(Truth {
        identity: pod.identity(),
        refusals,
    })
}
