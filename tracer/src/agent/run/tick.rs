//! What is done each second.

use std::time::Instant;

use super::{Agent, budget::Reached, calm};
use crate::{
    agent::{
        config::Level,
        metrics, own,
        trigger::{Sample, Turn},
    },
    indicators::{Sockstat, TcpMemory},
};

impl Agent {
    /// Once a second.
    pub(super) fn tick(&mut self) -> anyhow::Result<()> {
        self.setup.notifier.alive();
        let now = Instant::now();
        self.board.posted().beat = now;
        for reached in self.budget.look(now, &self.config.limits)? {
            if let Some(words) = reached.words() {
                self.words.say(Level::Warn, words);
            }
            self.board.hit(reached.bound());
            if matches!(reached, Reached::Memory(_)) {
                self.recorder.cut();
                self.give_back_at = Some(now);
            }
        }
        if self.give_back_at.is_some_and(|at| now >= at) {
            self.give_back_at = None;
            own::give_back();
        }
        self.switch()?;
        if !self.counting.is_on() {
            return Ok(());
        }
        let since = now - self.began;
        let tick = self.counting.tick()?;
        let mut sample = Sample {
            at: since,
            listed: self.listed - self.began,
            fill: fill(&tick.memory),
            pressure: tick.memory.pressure,
            ..Sample::default()
        };
        if let Some(deltas) = &tick.deltas {
            sample.count(deltas, self.triggers.lines().stall_p99);
            let owner_of = |key: &_| self.counting.owner_of(key);
            self.board.posted().ledger.count(since, deltas, &owner_of);
        }
        self.post_node(&tick.memory);
        let crowded = sample
            .fill
            .is_some_and(|fill| fill >= self.config.scan.fill);
        let mut deltas = tick.deltas.iter().flatten();
        let suffered = deltas.any(|delta| calm::suffered(&delta.value));
        if self.calm.tick(suffered, sample.fill) {
            self.next_turn = self.next_turn.min(now + self.interval());
        }
        if sample.refused > 0 || crowded {
            self.hurry(now);
        }
        match self.triggers.look(&sample) {
            Turn::Same => {}
            turn => self.incident(&turn)?,
        }
        if now >= self.next_turn {
            self.turn()?;
        }
        Ok(())
    }

    /// Something is the matter: windows are short for a while.
    fn hurry(&mut self, now: Instant) {
        let short = self.config.scan.interval_under_pressure * self.budget.stretch();
        self.hurry_until = now + short;
        self.next_turn = self.next_turn.min(now + short);
    }

    fn post_node(&self, memory: &TcpMemory) {
        let mut posted = self.board.posted();
        let node = &mut posted.node;
        node.sockstat = Sockstat {
            orphan: memory.orphan,
            alloc: memory.alloc,
            mem: memory.sockstat_pages,
            // Those of the agent's own namespace would be taken for the node's.
            inuse: None,
            tw: None,
        };
        node.tcp_mem = memory.tcp_mem;
        node.page_size = (memory.page_size > 0).then_some(memory.page_size);
        node.pressure = memory.pressure;
    }

    /// Writes the page for the node exporter, whole or not at all.
    pub(super) fn textfile(&self) {
        let Some(path) = &self.config.metrics.textfile else {
            return;
        };
        let page = self.board.page(metrics::Format::Text);
        let partial = path.with_extension("partial");
        let written = std::fs::write(&partial, page).and_then(|()| std::fs::rename(&partial, path));
        if let Err(error) = written {
            self.board.hit("textfile");
            self.words.say(
                Level::Warn,
                &format!("cannot write {}: {error}", path.display()),
            );
        }
    }
}

/// Allocated TCP memory over the pressure line.
fn fill(memory: &TcpMemory) -> Option<f64> {
    let [_, pressure, _] = memory.tcp_mem?;
    (pressure > 0).then_some(memory.sockstat_pages? as f64 / pressure as f64)
}
