//! Who connects, and what they get.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::error::Category;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{Asked, Listener, MAX_BEHIND, MAX_REQUEST, Request, Trouble};

/// Clients at one time.
const MAX_CLIENTS: usize = 8;
/// For a client to say what it wants.
const TO_ASK: Duration = Duration::from_secs(5);
/// For a client to take a line.
pub(super) const TO_TAKE: Duration = Duration::from_secs(10);
/// For the agent to answer, beside the window that is asked for.
const TO_ANSWER: Duration = Duration::from_secs(60);
/// After an accept that failed for want of descriptors or memory.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// Is told which bound was hit: `socket_clients`, `socket_line`, `socket_time`.
pub(super) type Hit = Arc<dyn Fn(&'static str) + Send + Sync>;

impl Listener {
    /// Answers until it is dropped, which closes everything. What is asked goes to the agent's loop; `hit` is told which bound of
    /// this socket was hit: `socket_clients`, `socket_line` or `socket_time`.
    pub async fn run(
        self,
        asks: mpsc::Sender<Asked>,
        hit: impl Fn(&'static str) + Send + Sync + 'static,
    ) {
        self.run_by(asks, Arc::new(hit), TO_ASK, TO_TAKE).await;
    }

    pub(super) async fn run_by(
        self,
        asks: mpsc::Sender<Asked>,
        hit: Hit,
        to_ask: Duration,
        to_take: Duration,
    ) {
        let mut tasks = JoinSet::new();
        let own = rustix::process::geteuid().as_raw();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                Some(_) = tasks.join_next() => continue,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            };
            let client = Client {
                stream,
                hit: Arc::clone(&hit),
                to_take,
            };
            let peer = client.stream.peer_cred();
            let refusal = if !peer.is_ok_and(|peer| may_ask(peer.uid(), own)) {
                Some("only root and the agent's own user may ask")
            } else if tasks.len() >= MAX_CLIENTS {
                hit("socket_clients");
                Some("too many ask at once; try again")
            } else {
                None
            };
            match refusal {
                // A line fits into the buffer of a new socket: nobody is waited for.
                Some(why) => client.refuse(why),
                None => {
                    let asks = asks.clone();
                    tasks.spawn(async move { client.serve(asks, to_ask).await });
                }
            }
        }
    }
}

/// Whether that user may ask an agent of this one.
pub(super) const fn may_ask(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

struct Client {
    stream: UnixStream,
    hit: Hit,
    to_take: Duration,
}

impl Client {
    async fn serve(mut self, asks: mpsc::Sender<Asked>, to_ask: Duration) {
        let request = match timeout(to_ask, self.request()).await {
            Ok(Ok(request)) => request,
            Ok(Err(why)) => return self.tell(trouble(&why)).await.unwrap_or(()),
            Err(_) => return (self.hit)("socket_time"),
        };
        let (reply, answer) = oneshot::channel();
        let (asked, patience) = match request {
            Request::Report { window } => {
                let window = window.map(super::Span::time);
                let patience = TO_ANSWER + window.unwrap_or_default();
                (Asked::Report { window, reply }, patience)
            }
            Request::Status {} => (Asked::Status { reply }, TO_ANSWER),
            Request::Follow {} => return self.follow(asks).await,
        };
        let answer = async {
            asks.send(asked).await.ok()?;
            answer.await.ok()
        };
        let line = match timeout(patience, answer).await {
            Ok(Some(Ok(document))) => document,
            Ok(Some(Err(why))) => trouble(&why),
            Ok(None) => trouble("the agent is stopping"),
            Err(_) => {
                (self.hit)("socket_time");
                trouble("the agent did not answer in time")
            }
        };
        self.tell(line).await.unwrap_or(());
    }

    async fn follow(mut self, asks: mpsc::Sender<Asked>) {
        let (lines, mut incoming) = mpsc::channel(MAX_BEHIND);
        if asks.send(Asked::Follow { lines }).await.is_err() {
            return self
                .tell(trouble("the agent is stopping"))
                .await
                .unwrap_or(());
        }
        while let Some(line) = incoming.recv().await {
            if self.tell(line).await.is_none() {
                return;
            }
        }
    }

    /// The first line, or what is wrong with it. Bytes after it are nobody's.
    async fn request(&mut self) -> Result<Request, String> {
        let mut line = Vec::new();
        let mut buffer = [0; 512];
        loop {
            if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
                line.truncate(end);
                break;
            }
            if line.len() > MAX_REQUEST {
                (self.hit)("socket_line");
                return Err(format!("a request has at most {MAX_REQUEST} bytes"));
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => break,
                Ok(read) => line.extend_from_slice(&buffer[..read]),
                Err(error) => return Err(error.to_string()),
            }
        }
        serde_json::from_slice(&line).map_err(|error| {
            let why = match error.classify() {
                Category::Data => error.to_string(),
                _ => "it is no JSON".to_owned(),
            };
            format!("no request: {why}; ask like {{\"ask\":\"report\",\"window\":\"10s\"}}")
        })
    }

    /// Writes a line; `None` where the client is gone, or too slow.
    async fn tell(&mut self, line: Bytes) -> Option<()> {
        let write = async {
            self.stream.write_all(&line).await?;
            self.stream.write_all(b"\n").await
        };
        match timeout(self.to_take, write).await {
            Ok(written) => written.ok(),
            Err(_) => {
                (self.hit)("socket_time");
                None
            }
        }
    }

    fn refuse(self, why: &str) {
        let mut line = trouble(why).to_vec();
        line.push(b'\n');
        // Whoever is gone does not hear it.
        let _ = self.stream.try_write(&line);
    }
}

fn trouble(why: &str) -> Bytes {
    let trouble = Trouble {
        error: why.to_owned(),
    };
    // A struct of one text always becomes JSON.
    Bytes::from(serde_json::to_vec(&trouble).unwrap_or_default())
}
