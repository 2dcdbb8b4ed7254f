//! What keys must say together.

use super::{Config, ConfigError, Place};
use crate::output::Format;

/// Everything that does not go together.
pub(super) fn together(config: &Config) -> Vec<ConfigError> {
    let Config {
        scan,
        http,
        recorder,
        trigger,
        export,
        ..
    } = config;
    let secrets = [
        &export.token_file,
        &export.basic_file,
        &export.routing_key_file,
    ];
    let in_the_clear = export.to.as_ref().is_some_and(|to| !to.is_encrypted());
    let rules = [
        (
            scan.interval_under_pressure > scan.interval,
            "scan.interval_under_pressure is longer than scan.interval",
        ),
        (
            http.tls_cert.is_some() != http.tls_key.is_some(),
            "http.tls_cert and http.tls_key belong together: give both or none",
        ),
        (
            trigger.before.as_secs() > recorder.minutes * 60,
            "trigger.before is longer than what recorder.minutes keeps",
        ),
        (
            export.token_file.is_some() && export.basic_file.is_some(),
            "export.token_file and export.basic_file exclude each other",
        ),
        (
            export.format == Format::Jira && export.to.is_some() && export.project.is_empty(),
            "export.format = \"jira\" needs export.project",
        ),
        (
            export.format == Format::Pagerduty
                && export.to.is_some()
                && export.routing_key_file.is_none(),
            "export.format = \"pagerduty\" needs export.routing_key_file",
        ),
        (
            in_the_clear && secrets.iter().any(|it| it.is_some()),
            "a secret goes to https alone: export.to is not encrypted",
        ),
    ];
    rules
        .into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, what)| ConfigError::new(Place::Together, what))
        .collect()
}

impl Config {
    /// In words: what is allowed but should be known, to be said at the start.
    #[must_use]
    pub fn cautions(&self) -> Vec<&'static str> {
        let http = &self.http;
        let open = http.listen.is_some_and(|at| !at.ip().is_loopback());
        let mut cautions = Vec::new();
        if open && http.token_file.is_none() {
            cautions.push(
                "http.listen is reached from outside this node and http.token_file is not set: whoever reaches it reads names of \
                 pods; a network policy should say who does",
            );
        }
        if open && http.token_file.is_some() && http.tls_cert.is_none() {
            cautions.push(
                "http.token_file is set without http.tls_cert: the token travels in the clear",
            );
        }
        cautions
    }
}
