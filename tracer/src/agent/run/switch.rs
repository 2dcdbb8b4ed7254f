//! Attaching, and letting go of it: by the switch, the configuration, or the budget.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    time::Instant,
};

use super::{Agent, TICK};
use crate::agent::{config::Level, own, privileges};

impl Agent {
    /// Attaches or detaches, as the switch, the configuration and the budget say.
    pub(super) fn switch(&mut self) -> anyhow::Result<()> {
        match self.off() {
            Some(why) if self.counting.is_on() => {
                // What was counted so far is told before it goes.
                self.turn()?;
                self.refuse(&why);
                self.detach();
                self.words.say(Level::Warn, &format!("detached: {why}"));
                self.post_detached(why);
            }
            Some(why) => self.post_detached(why),
            None if !self.counting.is_on() => self.begin()?,
            None => {}
        }
        Ok(())
    }

    /// Why nothing is to be attached, if so.
    fn off(&self) -> Option<String> {
        match (self.config.enabled, self.budget.spent()) {
            _ if self.setup.off_switch.exists() => {
                Some(format!("{} exists", self.setup.off_switch.display()))
            }
            (false, _) => Some("enabled = false".to_owned()),
            (true, Some(why)) => Some(why.to_owned()),
            (true, None) => None,
        }
    }

    /// Lets go of everything that is attached. For each function that was probed the kernel waits until every task of the node has slept of its own
    /// accord (`synchronize_rcu_tasks` in `ftrace_shutdown`, `kernel/trace/ftrace.c`, v6.12), and a throttled one does not for long: meanwhile
    /// whoever watches is told that the agent lives.
    pub(super) fn detach(&mut self) {
        let (board, notifier) = (&self.board, &self.setup.notifier);
        let (counting, own_sockets) = (&mut self.counting, &mut self.own_sockets);
        let exempt = std::thread::scope(|scope| {
            let (done, waits) = channel::<()>();
            scope.spawn(move || {
                while waits.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    notifier.detaching();
                    board.posted().beat = Instant::now();
                }
            });
            counting.stop();
            let exempt = own_sockets.take().map(|_| false);
            drop(done);
            exempt
        });
        self.board.posted().agent.sockets_exempt = exempt;
    }

    /// Takes sockets that are opened from now on out of `tcp_mem`, unless nothing is to be attached or it was asked for. An agent whose sockets
    /// are in it answers all the same, later.
    pub(super) fn exempt(&mut self) {
        if self.own_sockets.is_some() || self.off().is_some() {
            return;
        }
        let exempt = (self.setup.exempt)();
        let words = match &exempt {
            Ok(_) => "own TCP sockets: exempt from tcp_mem".to_owned(),
            Err(why) => format!("own TCP sockets: not exempt from tcp_mem: {why:#}"),
        };
        self.words.say(Level::Info, &words);
        self.board.posted().agent.sockets_exempt = Some(exempt.is_ok());
        self.own_sockets = Some(exempt);
    }

    fn post_detached(&self, why: String) {
        let mut posted = self.board.posted();
        if posted.agent.detached.as_ref() == Some(&why) {
            return;
        }
        // It has begun, and does what it is told: whoever started it need not wait.
        self.setup.notifier.ready(&format!("detached: {why}"));
        posted.agent.attached = false;
        posted.ready = Err(format!("detached: {why}"));
        posted.agent.detached = Some(why);
    }

    /// Attaches, and gives back what is not needed any more.
    fn begin(&mut self) -> anyhow::Result<()> {
        self.exempt();
        let config = &self.config;
        let begun = (self.setup.attach)(config, &self.words)?;
        let traced = self.counting.start(begun);
        if let Some(keep) = privileges::kept(&config.privileges, privileges::held()?) {
            privileges::drop_all(keep)?;
        }
        own::give_back();
        let status = match &traced {
            Ok(probes) => format!("tracing: {probes} probes"),
            Err(why) => format!("not tracing: {why}; answering from counters"),
        };
        let level = if traced.is_ok() {
            Level::Info
        } else {
            Level::Warn
        };
        self.words.say(level, &status);
        self.next_turn = Instant::now() + config.scan.interval_under_pressure;
        let mut posted = self.board.posted();
        posted.agent.attached = traced.is_ok();
        posted.agent.detached = traced.err();
        posted.agent.kernel = self
            .counting
            .node()
            .map_or_else(String::new, |node| node.kernel.clone());
        posted.ready = Ok(());
        drop(posted);
        self.setup.notifier.ready(&status);
        Ok(())
    }
}
