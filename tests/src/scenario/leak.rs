//! A leak that fills the node's TCP memory: a server that accepts for ever, reads nothing and closes nothing, and clients outside.

use std::time::Duration;

use anyhow::Result;

use crate::go::Go;
use crate::netns::Recipe;
use crate::pod::Pod;
use crate::recipe::tcp_mem::{LEAK, LEAKED_BEFORE, LEAKED_DURING};

/// How long clients outside may take for the first part.
const FED: Duration = Duration::from_secs(60);

/// The leak of one pod, beside [`crate::recipe::tcp_mem::TcpMem::small`].
pub(super) struct Leak {
    server: Recipe,
    outside: Recipe,
    go: Go,
}

impl Leak {
    /// Lets `pod` leak until four fifths of the memory are taken.
    pub(super) fn start(pod: &Pod) -> Result<Self> {
        let server = pod.recipe("leak-server --listen 0.0.0.0:8080")?;
        let go = Go::new("leak");
        let outside = pod.outside(&format!(
            "tun --to 10.99.0.1:8080 --connections {LEAK} --do feed:{LEAKED_BEFORE} --do until:{go} --do feed:{LEAKED_DURING}"
        ))?;
        outside.step("feed", FED)?;
        Ok(Self {
            server,
            outside,
            go,
        })
    }

    /// Lets it go on, until no more is taken.
    pub(super) fn go_on(&self) -> Result<()> {
        self.go.give()
    }

    /// Ends both sides: the memory is free again.
    pub(super) fn stop(self) -> Result<()> {
        self.outside.stop()?;
        self.server.stop()?;
        Ok(())
    }
}
