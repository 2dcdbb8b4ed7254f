//! HTTP for scrapers and people: a few paths, read only, beside the agent's loop. A guest on a node whose TCP memory may be full: few
//! connections, small buffers, a time for everything, and nothing that the far end says is kept or repeated.

mod access;
mod answer;
mod connection;
mod listen;
mod observed;
mod places;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub use access::Access;

use connection::{Connection, Gone};
use observed::Observed;
use places::Places;

/// Most bytes of the head of a request (the least that hyper can be told), and of what it waits to write.
const MAX_HEAD: usize = 8 << 10;
/// Most lines of a head.
const MAX_HEADERS: usize = 64;
/// After an accept that failed for want of descriptors or memory.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// What the agent answers. It is asked on the servers' thread and must not wait.
pub trait Answers: Send + Sync + 'static {
    /// The page of metrics, in a format that the `Accept` header names.
    fn metrics(&self, accept: &str) -> Page;
    /// Whether the agent lives; if not, why.
    fn health(&self) -> Result<(), String>;
    /// Whether it has begun to count; if not, why.
    fn ready(&self) -> Result<(), String>;
    /// The last report, as JSON; `None` before the first one.
    fn report(&self) -> Option<Bytes>;
    /// The plan, as JSON.
    fn plan(&self) -> Bytes;
    /// A bound of this server was hit: `http_connections`, `http_time`, `http_head` or `http_descriptors`.
    fn bound_hit(&self, bound: &'static str);
    /// Something for the log.
    fn say(&self, words: &str);
}

/// A page with its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// As in `Content-Type`.
    pub media_type: &'static str,
    /// What stands on it.
    pub body: Bytes,
}

/// The server.
pub struct Server {
    answers: Arc<dyn Answers>,
    access: Mutex<Arc<Access>>,
    places: Places,
}

impl Server {
    /// A server that listens nowhere yet.
    #[must_use]
    pub fn new(access: Access, answers: Arc<dyn Answers>) -> Arc<Self> {
        Arc::new(Self {
            answers,
            access: Mutex::new(Arc::new(access)),
            places: Places::default(),
        })
    }

    /// From now on by these certificates, this token and these limits. Connections that are open keep theirs.
    pub fn renew(&self, access: Access) {
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Listens and answers until it is dropped, which closes everything. An address that is in use, or not there yet, is tried again.
    ///
    /// # Errors
    /// When it may never listen there.
    pub async fn run(self: Arc<Self>, at: SocketAddr) -> anyhow::Result<()> {
        let say = |words: &str| self.answers.say(words);
        let listener = listen::listen(at, &say).await?;
        self.run_on(listener).await;
        Ok(())
    }

    /// The same on what listens already.
    pub async fn run_on(self: Arc<Self>, listener: TcpListener) {
        // Dropped with this future, and all connections with it.
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, &mut tasks),
                    Err(error) => {
                        // Whoever left before it was accepted is nobody's trouble.
                        if listen::is_exhaustion(&error) {
                            self.answers.bound_hit("http_descriptors");
                            tokio::time::sleep(AFTER_FAILURE).await;
                        }
                    }
                },
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    /// Gives a connection its place, if there is one, and lets it speak.
    fn admit(self: &Arc<Self>, stream: TcpStream, tasks: &mut JoinSet<()>) {
        let access = self.access();
        let connection = Arc::new(Connection::new(access.timeout));
        let admission = self.places.take(&connection, access.max_connections);
        if admission.hit {
            self.answers.bound_hit("http_connections");
        }
        if admission.admitted {
            let server = Arc::clone(self);
            tasks.spawn(async move {
                server.serve(stream, &connection, access).await;
                server.places.leave(&connection);
            });
        }
    }

    async fn serve(&self, stream: TcpStream, connection: &Arc<Connection>, access: Arc<Access>) {
        let speak = async {
            match &access.tls {
                None => self.speak(stream, connection, &access).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection.shook_hands();
                        self.speak(stream, connection, &access).await;
                    }
                }
            }
        };
        tokio::select! {
            () = speak => {}
            gone = connection.gone() => if gone == Gone::Late {
                self.answers.bound_hit("http_time");
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        connection: &Arc<Connection>,
        access: &Access,
    ) {
        let service = service_fn(|request: hyper::Request<Incoming>| {
            connection.answering();
            let answer = answer::answer(&request, access, self.answers.as_ref());
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        let stream = TokioIo::new(Observed::new(stream, Arc::clone(connection)));
        let spoken = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(stream, service)
            .await;
        if spoken.is_err_and(|error| error.is_parse_too_large()) {
            self.answers.bound_hit("http_head");
        }
    }
}

#[cfg(test)]
mod tests;
