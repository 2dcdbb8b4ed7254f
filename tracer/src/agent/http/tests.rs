//! Real sockets on loopback. Times are generous: they end a test that hangs and decide nothing.

mod bounds;
mod requests;
mod secured;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::agent::config::{Config, Http};

/// Longer than anything takes.
const FAILSAFE: Duration = Duration::from_secs(60);

/// What the agent would answer.
#[derive(Default)]
struct Known {
    page: Mutex<Bytes>,
    unwell: AtomicBool,
    no_report: AtomicBool,
    hits: Mutex<Vec<&'static str>>,
    said: Mutex<Vec<String>>,
}

impl Answers for Known {
    fn metrics(&self, accept: &str) -> Page {
        let media_type = match accept.contains("openmetrics") {
            true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            false => "text/plain; version=0.0.4; charset=utf-8",
        };
        let body = self.page.lock().unwrap().clone();
        Page { media_type, body }
    }

    fn health(&self) -> Result<(), String> {
        match self.unwell.load(Ordering::Relaxed) {
            true => Err("secret reason".to_owned()),
            false => Ok(()),
        }
    }

    fn ready(&self) -> Result<(), String> {
        self.health()
    }

    fn report(&self) -> Option<Bytes> {
        (!self.no_report.load(Ordering::Relaxed)).then(|| Bytes::from_static(b"{\"report\":1}"))
    }

    fn plan(&self) -> Bytes {
        Bytes::from_static(b"{\"plan\":1}")
    }

    fn bound_hit(&self, bound: &'static str) {
        self.hits.lock().unwrap().push(bound);
    }

    fn say(&self, words: &str) {
        self.said.lock().unwrap().push(words.to_owned());
    }
}

impl Known {
    fn hits(&self, bound: &str) -> usize {
        let hits = self.hits.lock().unwrap();
        hits.iter().filter(|hit| **hit == bound).count()
    }
}

/// A server that runs in this test.
struct Running {
    at: SocketAddr,
    known: Arc<Known>,
    server: Arc<Server>,
    task: JoinHandle<()>,
}

impl Running {
    fn new(config: &Http) -> Self {
        let known = Arc::new(Known::default());
        *known.page.lock().unwrap() = Bytes::from_static(b"tcpress_up 1\n# EOF\n");
        let access = Access::read(config).unwrap();
        let server = Server::new(access, Arc::clone(&known) as Arc<dyn Answers>);
        let listener = listen::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let at = listener.local_addr().unwrap();
        let task = tokio::spawn(Arc::clone(&server).run_on(listener));
        Self {
            at,
            known,
            server,
            task,
        }
    }

    fn usual() -> Self {
        Self::new(&http())
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// All that is answered to some bytes, until the far end closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        rest(&mut stream).await
    }

    async fn get(&self, path: &str) -> String {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
            .await
    }

    /// Until something is so.
    async fn until(&self, what: impl Fn(&Self) -> bool) {
        let wait = async {
            while !what(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(FAILSAFE, wait).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The limits by default, but for the times, which no test may wait for.
fn http() -> Http {
    Http {
        timeout: FAILSAFE,
        ..Config::default().http
    }
}

/// What comes until the far end closes, also where it does so with a reset.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let mut buffer = [0_u8; 4096];
    let read = async {
        while let Ok(1..) = stream.read(&mut buffer).await.inspect(|&read| {
            all.extend_from_slice(&buffer[..read]);
        }) {}
    };
    timeout(FAILSAFE, read).await.unwrap();
    String::from_utf8(all).unwrap()
}

/// One answer whose length is told, and nothing after it.
async fn one(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&all).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|it| it.strip_prefix("content-length: "));
                if body.len() >= length.unwrap().parse::<usize>().unwrap() {
                    return text;
                }
            }
            all.push(stream.read_u8().await.unwrap());
        }
    };
    timeout(FAILSAFE, read).await.unwrap()
}
