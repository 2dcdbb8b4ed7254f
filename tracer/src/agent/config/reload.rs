//! What a new configuration changes in a running agent.

use super::{Config, KEYS};

/// What became of a new configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Reload {
    /// What holds from now on: new values where that is possible, the old ones elsewhere.
    pub config: Config,
    /// Keys whose new value holds.
    pub applied: Vec<&'static str>,
    /// Keys whose new value waits for a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Config {
    /// What holds after SIGHUP.
    #[must_use]
    pub fn reload(&self, new: &Self) -> Reload {
        let mut config = new.clone();
        let (mut applied, mut needs_restart) = (Vec::new(), Vec::new());
        for key in &KEYS {
            if key.shown(self) == key.shown(new) {
                continue;
            }
            if key.reloads {
                applied.push(key.name);
            } else {
                needs_restart.push(key.name);
                (key.slot)(&mut config).copy((key.slot)(&mut self.clone()));
            }
        }
        Reload {
            config,
            applied,
            needs_restart,
        }
    }
}
