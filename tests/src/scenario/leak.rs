//! A leak that fills the node's TCP memory: a server that accepts for ever, reads nothing and closes nothing, and clients outside.

use std::time::Duration;

use anyhow::Result;

use crate::go::Go;
use crate::netns::Recipe;
use crate::pod::Pod;
use crate::recipe::tcp_mem::{LEAK, LEAKED_BEFORE, LEAKED_DURING};

/// How long clients outside may take for either part.
const FED: Duration = Duration::from_secs(60);

/// Connections that come later.
const NEWCOMERS: u32 = 100;

/// The leak of one pod, beside [`crate::recipe::tcp_mem::TcpMem::small`].
pub(super) struct Leak {
    server: Recipe,
    outside: Vec<Recipe>,
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
            outside: vec![outside],
            go,
        })
    }

    /// With [`NEWCOMERS`] more, which hold nothing before it goes on: each may have its share, and together they take what is left. Without
    /// them the leak ends where its own connections have theirs.
    pub(super) fn with_newcomers(mut self, pod: &Pod) -> Result<Self> {
        let go = &self.go;
        self.outside.push(pod.outside(&format!(
            "tun --device tun1 --kernel 10.98.0.1 --client 10.98.0.2 --to 10.98.0.1:8080 --connections {NEWCOMERS} \
             --do until:{go} --do feed:{LEAKED_DURING}"
        ))?);
        Ok(self)
    }

    /// Lets it go on, until no more is taken.
    pub(super) fn go_on(&self) -> Result<()> {
        self.go.give()
    }

    /// Waits until no more is taken.
    pub(super) fn taken(&self) -> Result<()> {
        self.outside
            .iter()
            .try_for_each(|it| it.done(FED).map(drop))
    }

    /// Ends both sides: the memory is free again.
    pub(super) fn stop(self) -> Result<()> {
        for outside in self.outside {
            outside.stop()?;
        }
        self.server.stop()?;
        Ok(())
    }
}
