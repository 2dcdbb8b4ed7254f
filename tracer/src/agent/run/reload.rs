//! SIGHUP: the configuration is read anew.

use std::time::Instant;

use super::{Agent, begin};
use crate::agent::{
    config::Level,
    courier::Courier,
    http::{Access, Server},
};

impl Agent {
    /// SIGHUP.
    pub(super) fn reload(&mut self, server: Option<&Server>) -> anyhow::Result<()> {
        self.setup.notifier.reloading();
        let new = match (self.setup.reread)() {
            Ok(new) => new,
            Err(error) => {
                self.words.say(
                    Level::Error,
                    &format!("not reloaded, all stays as it was: {error:#}"),
                );
                self.setup.notifier.ready("not reloaded");
                return Ok(());
            }
        };
        let reload = self.config.reload(&new);
        let mut said = format!("reloaded: {}", list(&reload.applied));
        if !reload.needs_restart.is_empty() {
            said += &format!("; waits for a restart: {}", list(&reload.needs_restart));
        }
        let before = std::mem::replace(&mut self.config, reload.config);
        if before.incidents != self.config.incidents {
            self.folder = begin::folder(&self.config, &self.words);
        }
        // Its files may have changed although their names have not.
        match Courier::start(&self.config.export, &self.words) {
            Ok(courier) => self.replace(courier),
            Err(error) => self.words.say(
                Level::Error,
                &format!("{error:#}: reports are sent as before"),
            ),
        }
        self.words.set(self.config.log.clone());
        self.triggers.set(self.config.trigger.clone());
        let budget = usize::try_from(self.config.metrics.series_budget).unwrap_or(usize::MAX);
        self.board
            .posted()
            .ledger
            .bound(budget, self.config.metrics.owner_grace);
        if let Some(server) = server {
            match Access::read(&self.config.http) {
                Ok(access) => server.renew(access),
                Err(error) => self
                    .words
                    .say(Level::Error, &format!("{error:#}: HTTP goes on as before")),
            }
        }
        self.next_turn = self
            .next_turn
            .min(Instant::now() + self.config.scan.interval);
        self.words.say(Level::Info, &said);
        self.setup.notifier.ready(&said);
        self.switch()
    }

    /// Another courier, who goes on where the one before was.
    fn replace(&mut self, courier: Option<Courier>) {
        let sums = self.courier.as_ref().map(Courier::sums).unwrap_or_default();
        self.courier = courier;
        if let Some(courier) = &self.courier {
            courier.go_on(sums);
        }
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing has changed".to_owned(),
        names => names.join(", "),
    }
}
