//! Asking an agent.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::{MAX_ANSWER, Request, TROUBLE, Trouble, server::may_ask};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// No agent listens there.
    #[error("no agent is running here")]
    NoAgent,
    /// The socket is somebody else's.
    #[error("the agent may not be asked by this user: run as root")]
    NotPermitted,
    /// It did not answer in time.
    #[error("the agent did not answer within {0:?}")]
    Late(Duration),
    /// It said no.
    #[error("the agent refuses: {0}")]
    Refused(String),
    /// Something broke off.
    #[error("the agent broke off: {0}")]
    Broken(String),
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NoAgent,
            io::ErrorKind::PermissionDenied => Self::NotPermitted,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// Asks the agent that listens there, and waits no longer than the limit for its whole answer: a document in one line of JSON.
///
/// # Errors
/// Why there is none.
pub async fn ask(path: &Path, request: &Request, limit: Duration) -> Result<Bytes, AskError> {
    let ask = async {
        let mut following = send(path, request).await?;
        following.line().await
    };
    let line = timeout(limit, ask)
        .await
        .map_err(|_| AskError::Late(limit))??;
    line.ok_or_else(|| AskError::Broken("it closed without an answer".to_owned()))
}

/// Asks for a report after each window.
///
/// # Errors
/// Why there will be none.
pub async fn follow(path: &Path, limit: Duration) -> Result<Following, AskError> {
    let send = send(path, &Request::Follow {});
    timeout(limit, send)
        .await
        .map_err(|_| AskError::Late(limit))?
}

/// Lines of an agent, one after the other.
#[derive(Debug)]
pub struct Following {
    stream: BufReader<UnixStream>,
    /// What has come of a line that is not whole yet.
    partial: Vec<u8>,
}

impl Following {
    /// The next one; `None` where the agent has ended. It may be given up at any moment: nothing is lost by that.
    ///
    /// # Errors
    /// What the agent said instead of it, or that it broke off.
    pub async fn line(&mut self) -> Result<Option<Bytes>, AskError> {
        let left = MAX_ANSWER as u64 + 1 - self.partial.len() as u64;
        let mut limited = (&mut self.stream).take(left);
        limited.read_until(b'\n', &mut self.partial).await?;
        let mut line = std::mem::take(&mut self.partial);
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            return Err(AskError::Broken("its answer has no end".to_owned()));
        }
        if line.starts_with(TROUBLE) {
            let trouble = serde_json::from_slice::<Trouble>(&line);
            let trouble = trouble.map_err(|error| AskError::Broken(error.to_string()))?;
            return Err(AskError::Refused(trouble.error));
        }
        Ok(Some(Bytes::from(line)))
    }
}

async fn send(path: &Path, request: &Request) -> Result<Following, AskError> {
    let mut stream = UnixStream::connect(path).await?;
    // In a folder that others may write to, anybody could pretend to be the agent.
    let own = rustix::process::geteuid().as_raw();
    if !may_ask(stream.peer_cred()?.uid(), own) {
        return Err(AskError::NotPermitted);
    }
    let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(Following {
        stream: BufReader::new(stream),
        partial: Vec::new(),
    })
}
