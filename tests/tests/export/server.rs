//! An HTTP server on a thread of its own that answers as it is told, and remembers what it was asked.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::CONTENT_LENGTH,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Runtime,
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Answers with a status, headers and a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// Takes the request and never answers.
    Nothing,
    /// Takes the request and closes the connection.
    Close,
    /// Takes the request and closes the connection in the middle of its answer.
    Half,
}

/// A status alone.
pub(crate) fn status(code: u16) -> Deed {
    Deed::Say(code, Vec::new(), String::new())
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    /// A header; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(it, _)| it == name);
        header.map_or("", |(_, value)| value)
    }

    /// The idempotency key, without its quotes.
    pub(crate) fn key(&self) -> &str {
        self.header("idempotency-key").trim_matches('"')
    }
}

/// Answers each request in turn; when it has no more to say it is `Deed` by the function at its end.
type Answers = Arc<Mutex<dyn FnMut(&Seen) -> Deed + Send>>;

/// A server. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    runtime: Option<Runtime>,
    _stop: oneshot::Sender<()>,
}

/// A port that is taken, and refuses whoever comes until it is opened.
pub(crate) struct Closed(TcpSocket, SocketAddr);

impl Closed {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option");
        let at: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        socket.bind(at).expect("a port");
        let at = socket.local_addr().expect("an address");
        Self(socket, at)
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.1
    }

    /// Opens it.
    pub(crate) fn open(self, tls: Option<Arc<ServerConfig>>, deeds: Vec<Deed>) -> Server {
        Server::on(self, tls, answers(deeds))
    }
}

impl Server {
    /// A server that answers by a list, and when that is at its end with 202.
    pub(crate) fn new(tls: Option<Arc<ServerConfig>>, deeds: Vec<Deed>) -> Self {
        Self::on(Closed::new(), tls, answers(deeds))
    }

    /// A server that thinks.
    pub(crate) fn thinking(
        tls: Option<Arc<ServerConfig>>,
        think: impl FnMut(&Seen) -> Deed + Send + 'static,
    ) -> Self {
        Self::on(Closed::new(), tls, Arc::new(Mutex::new(think)))
    }

    fn on(port: Closed, tls: Option<Arc<ServerConfig>>, answers: Answers) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = {
            let _within = runtime.enter();
            port.0.listen(64).expect("a listener")
        };
        let seen = Arc::default();
        let (stop, stopped) = oneshot::channel();
        let accept = accept(
            listener,
            tls.map(TlsAcceptor::from),
            Arc::clone(&seen),
            answers,
        );
        runtime.spawn(async move {
            tokio::select! {
                () = accept => {}
                _ = stopped => {}
            }
        });
        Self {
            at: port.1,
            seen,
            runtime: Some(runtime),
            _stop: stop,
        }
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// What a far end that knows keys has made of it all: each key once, in the order in which they came first.
    pub(crate) fn taken(&self) -> Vec<Seen> {
        let mut taken: Vec<Seen> = Vec::new();
        for seen in self.seen() {
            match taken.iter().find(|it| it.key() == seen.key()) {
                Some(first) => assert!(first.body == seen.body, "one key, two things"),
                None => taken.push(seen),
            }
        }
        taken
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped within another runtime, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

fn answers(deeds: Vec<Deed>) -> Answers {
    let mut deeds = VecDeque::from(deeds);
    Arc::new(Mutex::new(move |_: &Seen| {
        deeds.pop_front().unwrap_or_else(|| status(202))
    }))
}

/// A test that failed elsewhere does not matter here.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Answers,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (tls, seen, answers) = (tls.clone(), Arc::clone(&seen), Arc::clone(&answers));
        tokio::spawn(serve(stream, tls, seen, answers));
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Answers,
) {
    let service =
        service_fn(move |request| answer(request, Arc::clone(&seen), Arc::clone(&answers)));
    // What goes wrong on a connection is the client's to tell.
    let _ = match tls {
        None => {
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => {
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            }
            Err(_) => return,
        },
    };
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Answers,
) -> io::Result<Response<BoxBody<Bytes, io::Error>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let headers = head.headers.iter();
    let request = Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: headers
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let deed = {
        let mut answers = lock(&answers);
        answers(&request)
    };
    lock(&seen).push(request);
    match deed {
        Deed::Nothing => std::future::pending().await,
        Deed::Close => Err(io::Error::other("closes")),
        Deed::Half => {
            let parts = [
                Ok(Frame::data(Bytes::from_static(b"half of"))),
                Err(io::Error::other("closes")),
            ];
            let body = StreamBody::new(tokio_stream::iter(parts)).boxed();
            let response = Response::builder().header(CONTENT_LENGTH, 100).body(body);
            response.map_err(io::Error::other)
        }
        Deed::Say(code, headers, body) => {
            let mut response = Response::builder().status(code);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
            response.body(body.boxed()).map_err(io::Error::other)
        }
    }
}
