//! An agent on this node is asked rather than everything loaded a second time: it counts already, and it costs no TCP memory to ask it.

use std::{path::PathBuf, time::Duration};

use super::observe::Watching;
use crate::{
    agent::socket::{self, AskError, Following, Request, Span},
    output::table,
    report::Report,
};

/// The agent needs no longer than this for an answer once a window is over.
const PATIENCE: Duration = Duration::from_secs(40);

/// Where the agent is, if there is one.
#[derive(Debug, clap::Args)]
pub(super) struct Local {
    /// Socket of the agent on this node. Where one listens it is asked, and nothing is loaded a second time.
    #[arg(long, value_name = "PATH", default_value = "/run/tcpress/agent.sock")]
    agent_socket: PathBuf,
    /// Ask no agent: load and attach everything here.
    #[arg(long)]
    no_agent: bool,
}

impl Local {
    /// The agent's report of a window that begins now; `None` where there is no agent, it cannot answer, or what is wanted is not what it does.
    pub(super) async fn report(&self, watching: &Watching) -> Option<Report> {
        let window = Span::new(watching.duration_of_agent()).ok()?;
        if self.no_agent || !watching.is_usual() {
            return None;
        }
        self.provisional().await;
        let request = Request::Report {
            window: Some(window),
        };
        let limit = window.time() + PATIENCE;
        let answer = self.ask(&request, limit).await;
        match answer {
            Ok(report) => {
                super::say("answered by the agent of this node (--no-agent loads everything here)");
                Some(report)
            }
            Err(why) if why.is_empty() => None,
            Err(why) => {
                super::say(&format!("the agent of this node has no answer: {why}"));
                None
            }
        }
    }

    /// A first answer: what the agent's last window told.
    async fn provisional(&self) {
        let last = self.ask(&Request::Report { window: None }, PATIENCE).await;
        // Without one, the window itself tells.
        if let Ok(last) = last {
            super::say(&format!("provisional: {}", table::one_line(&last)));
        }
    }

    async fn ask(&self, request: &Request, limit: Duration) -> Result<Report, String> {
        match socket::ask(&self.agent_socket, request, limit).await {
            Ok(answer) => serde_json::from_slice(&answer).map_err(|error| error.to_string()),
            Err(error) => self.silent(&error),
        }
    }

    /// Reports of the agent after each of its windows; `None` where there is none.
    pub(super) async fn follow(&self) -> Option<Following> {
        if self.no_agent {
            return None;
        }
        socket::follow(&self.agent_socket, PATIENCE).await.ok()
    }

    /// Why there is no answer; empty where there is nobody to answer.
    fn silent(&self, error: &AskError) -> Result<Report, String> {
        Err(match error {
            AskError::NoAgent => String::new(),
            error => error.to_string(),
        })
    }
}
