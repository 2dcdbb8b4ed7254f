//! The servers, on a thread of their own: a scrape need not wait until sockets are listed, and a liveness probe is answered by somebody
//! else than the loop that it asks about.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::agent::{
    board::Board,
    config::Config,
    http::{Access, Server},
    socket::{Asked, Listener},
};

/// The name of the thread; the kernel keeps 15 bytes of it.
const NAME: &str = "tcpress-servers";

/// Servers that run until they are closed.
pub(super) struct Servers {
    /// That for HTTP, if there is one.
    pub(super) http: Option<Arc<Server>>,
    close: oneshot::Sender<()>,
    ended: oneshot::Receiver<anyhow::Error>,
    thread: JoinHandle<()>,
}

impl Servers {
    /// Begins to listen where the configuration says.
    ///
    /// # Errors
    /// When the unix socket cannot be had, a file of HTTP's is unsound, or there can be no thread.
    pub(super) async fn start(
        config: &Config,
        board: &Arc<Board>,
        asks: mpsc::Sender<Asked>,
    ) -> anyhow::Result<Self> {
        let http = match config.http.listen {
            Some(at) => {
                let access = Access::read(&config.http)?;
                Some((at, Server::new(access, Arc::clone(board) as _)))
            }
            None => None,
        };
        let server = http.as_ref().map(|(_, server)| Arc::clone(server));
        let (socket, board) = (config.socket.path.clone(), Arc::clone(board));
        let set_up = move |servers: &mut JoinSet<anyhow::Result<()>>| {
            if let Some(path) = socket {
                let listener = Listener::bind(&path)?;
                servers.spawn(async move {
                    listener.run(asks, move |bound| board.hit(bound)).await;
                    Ok(())
                });
            }
            if let Some((at, server)) = http {
                servers.spawn(server.run(at));
            }
            anyhow::Ok(())
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start what the servers run on")?;
        let (begun, has_begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (close, closed) = oneshot::channel::<()>();
        let work = async move {
            // Dropped with this future, and all servers with it.
            let mut servers = JoinSet::new();
            let done = set_up(&mut servers);
            let failed = done.is_err();
            if begun.send(done).is_err() || failed {
                return;
            }
            let error = tokio::select! {
                _ = closed => return,
                error = first_to_end(&mut servers) => error,
            };
            // Nobody listens where the agent ends as well.
            let _ = end.send(error);
        };
        let thread = thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || runtime.block_on(work))
            .context("cannot start the thread of the servers")?;
        has_begun.await.context("the servers panicked")??;
        Ok(Self {
            http: server,
            close,
            ended,
            thread,
        })
    }

    /// Waits until one of them has ended, which none does by itself, and says why.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        let ended = (&mut self.ended).await;
        ended.unwrap_or_else(|_| anyhow::anyhow!("a server of the agent panicked"))
    }

    /// Closes every listener and connection.
    pub(super) fn close(self) {
        // Where the thread has ended already, all of it is closed.
        let _ = self.close.send(());
        let _ = self.thread.join();
    }
}

/// Why the first of them ended; for ever where there is none.
async fn first_to_end(servers: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Error {
    match servers.join_next().await {
        Some(Ok(Ok(()))) => anyhow::anyhow!("a server of the agent ended"),
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => anyhow::anyhow!("a server of the agent panicked: {error}"),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{SocketAddr, TcpListener, TcpStream},
        time::Duration,
    };

    use super::*;
    use crate::agent::{
        ledger::{AgentFigures, Ledger},
        words::Words,
    };

    fn board() -> Arc<Board> {
        let config = Config::default();
        let ledger = Ledger::new(1000, Duration::from_secs(60));
        let words = Arc::new(Words::new(config.log));
        Arc::new(Board::new(ledger, AgentFigures::default(), words))
    }

    /// An address of this host where nobody listens.
    fn free() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    fn config(at: Option<SocketAddr>) -> Config {
        let mut config = Config::default();
        config.http.listen = at;
        config.socket.path = None;
        config
    }

    #[tokio::test]
    async fn a_scrape_is_answered_while_the_loop_stands_still() {
        let at = free();
        let (asks, _asked) = mpsc::channel(1);
        let servers = Servers::start(&config(Some(at)), &board(), asks)
            .await
            .unwrap();
        // From here on the only thread of the test's runtime waits for the answer, and does nothing else.
        let mut stream = TcpStream::connect(at);
        while stream.is_err() {
            stream = TcpStream::connect(at);
        }
        let mut stream = stream.unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("tcpress_build_info"), "{answer}");
        servers.close();
        assert!(TcpStream::connect(at).is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_socket_that_cannot_be_had_is_told_at_once() {
        let (asks, _asked) = mpsc::channel(1);
        let mut config = config(None);
        config.socket.path = Some("/proc/no/such/agent.sock".into());
        let failed = Servers::start(&config, &board(), asks).await;
        let words = failed.err().unwrap().to_string();
        assert!(words.contains("/proc/no/such/agent.sock"), "{words}");
    }
}
