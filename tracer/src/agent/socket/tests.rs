//! Real sockets in a folder of the test's own. Times are generous: they end a test that hangs and decide nothing.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::JoinHandle,
    time::timeout,
};

use super::*;
use crate::fixture::Fixture;

/// Longer than anything takes.
const FAILSAFE: Duration = Duration::from_secs(60);

/// An agent that answers what it was asked.
struct Agent {
    folder: Fixture,
    hits: Arc<Mutex<Vec<&'static str>>>,
    followers: Arc<Mutex<Followers>>,
    tasks: [JoinHandle<()>; 2],
}

impl Agent {
    fn new(to_ask: Duration, to_take: Duration) -> Self {
        let folder = Fixture::new();
        let listener = Listener::bind(&folder.path().join("agent.sock")).unwrap();
        let (asks, mut asked) = mpsc::channel(4);
        let hits = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&hits);
        let hit = Arc::new(move |bound| told.lock().unwrap().push(bound));
        let server = tokio::spawn(listener.run_by(asks, hit, to_ask, to_take));
        let followers = Arc::new(Mutex::new(Followers::default()));
        let all = Arc::clone(&followers);
        let answering = tokio::spawn(async move {
            while let Some(asked) = asked.recv().await {
                match asked {
                    Asked::Report {
                        window: None,
                        reply,
                    } => {
                        reply
                            .send(Err("no window has ended yet".to_owned()))
                            .unwrap();
                    }
                    Asked::Report {
                        window: Some(window),
                        reply,
                    } => {
                        let document = format!("{{\"window\":{}}}", window.as_secs());
                        let _ = reply.send(Ok(document.into()));
                    }
                    // Large: more than any buffer takes.
                    Asked::Status { reply } => {
                        let document = format!("\"{}\"", "x".repeat(8 << 20));
                        let _ = reply.send(Ok(document.into()));
                    }
                    Asked::Follow { lines } => all.lock().unwrap().add(lines),
                }
            }
        });
        Self {
            folder,
            hits,
            followers,
            tasks: [server, answering],
        }
    }

    fn usual() -> Self {
        Self::new(FAILSAFE, FAILSAFE)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    async fn ask(&self, request: &Request) -> Result<Bytes, AskError> {
        ask(&self.path(), request, FAILSAFE).await
    }

    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path()).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut all = Vec::new();
        let _ = timeout(FAILSAFE, stream.read_to_end(&mut all))
            .await
            .unwrap();
        String::from_utf8(all).unwrap()
    }

    async fn until(&self, what: impl Fn(&Self) -> bool) {
        let wait = async {
            while !what(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(FAILSAFE, wait).await.unwrap();
    }

    fn hit(&self, bound: &str) -> bool {
        self.hits.lock().unwrap().contains(&bound)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn report(text: Option<&str>) -> Request {
    let window = text.map(|text| Span::try_from(text.to_owned()).unwrap());
    Request::Report { window }
}

#[tokio::test]
async fn what_is_asked_is_answered() {
    let agent = Agent::usual();
    let got = agent.ask(&report(Some("10s"))).await.unwrap();
    assert_eq!(got, "{\"window\":10}");
    match agent.ask(&report(None)).await {
        Err(AskError::Refused(why)) => assert_eq!(why, "no window has ended yet"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        agent.ask(&Request::Status {}).await.unwrap().len(),
        (8 << 20) + 2
    );
    // As any tool would: also one that says no more, and one whose line has no end but the end.
    for line in [
        "{\"ask\":\"report\",\"window\":\"2m\"}\n",
        " {\"window\":\"120s\", \"ask\":\"report\"}\r\nmore",
    ] {
        assert_eq!(agent.raw(line.as_bytes()).await, "{\"window\":120}\n");
    }
    let mut stream = UnixStream::connect(agent.path()).await.unwrap();
    stream
        .write_all(b"{\"ask\":\"report\",\"window\":\"1s\"}")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut all = String::new();
    timeout(FAILSAFE, stream.read_to_string(&mut all))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(all, "{\"window\":1}\n");
}

#[test]
fn requests_are_written_as_documented() {
    for (request, line) in [
        (report(Some("10s")), r#"{"ask":"report","window":"10s"}"#),
        (report(None), r#"{"ask":"report"}"#),
        (Request::Status {}, r#"{"ask":"status"}"#),
        (Request::Follow {}, r#"{"ask":"follow"}"#),
    ] {
        assert_eq!(serde_json::to_string(&request).unwrap(), line);
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request);
    }
}

#[tokio::test]
async fn what_is_no_request_is_told() {
    let agent = Agent::usual();
    let long = vec![b'x'; 100_000];
    let table: [(&[u8], &str); 11] = [
        (b"\n", "no JSON"),
        (b"report\n", "no JSON"),
        (b"{\"ask\":\"report\"\n", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b"GET / HTTP/1.1\r\n", "no JSON"),
        (b"{}\n", "ask"),
        (b"{\"ask\":\"reports\"}\n", "reports"),
        (b"{\"ask\":\"status\",\"window\":\"1s\"}\n", "window"),
        (b"{\"ask\":\"report\",\"window\":\"0\"}\n", "from 1s to 10m"),
        (b"{\"ask\":\"report\",\"window\":10}\n", "no request"),
        (&long, "at most 4096 bytes"),
    ];
    for (bytes, words) in table {
        let answer = agent.raw(bytes).await;
        // The answer is lost where bytes were left unread.
        let lost = answer.is_empty() && bytes.len() > MAX_REQUEST;
        assert!(
            lost || answer.starts_with("{\"error\":\"") && answer.contains(words),
            "{answer}"
        );
    }
    assert!(agent.hit("socket_line"));
    assert!(agent.ask(&report(Some("1s"))).await.is_ok());
}

#[tokio::test]
async fn whoever_says_nothing_or_reads_nothing_is_dropped() {
    let agent = Agent::new(Duration::from_millis(200), Duration::from_millis(200));
    let silent = UnixStream::connect(agent.path()).await.unwrap();
    agent.until(|agent| agent.hit("socket_time")).await;
    agent.hits.lock().unwrap().clear();
    drop(silent);
    let mut deaf = UnixStream::connect(agent.path()).await.unwrap();
    deaf.write_all(b"{\"ask\":\"status\"}\n").await.unwrap();
    agent.until(|agent| agent.hit("socket_time")).await;
    let mut got = Vec::new();
    let _ = timeout(FAILSAFE, deaf.read_to_end(&mut got)).await.unwrap();
    assert!(got.len() < 8 << 20);
}

#[tokio::test]
async fn too_many_at_once_are_told_so() {
    let agent = Agent::usual();
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(UnixStream::connect(agent.path()).await.unwrap());
    }
    let told = agent.raw(b"").await;
    assert!(told.contains("too many"), "{told}");
    assert!(agent.hit("socket_clients"));
    match agent.ask(&report(Some("1s"))).await {
        Err(AskError::Refused(why)) => assert!(why.contains("too many"), "{why}"),
        // It was closed before the request was written.
        Err(AskError::Broken(_)) => {}
        other => panic!("{other:?}"),
    }
    drop(open);
    let wait = async {
        while agent.ask(&report(Some("1s"))).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAILSAFE, wait).await.unwrap();
}

#[tokio::test]
async fn whoever_follows_gets_each_line_and_whoever_is_slow_none() {
    let agent = Agent::usual();
    let mut first = follow(&agent.path(), FAILSAFE).await.unwrap();
    let _slow = follow(&agent.path(), FAILSAFE).await.unwrap();
    agent
        .until(|agent| agent.followers.lock().unwrap().0.len() == 2)
        .await;
    // Too large for any buffer, so that who does not read is behind after a few.
    let line = |number: usize| Bytes::from(format!("[{number},\"{}\"]", "x".repeat(4 << 20)));
    let mut dropped = 0;
    for number in 0..6 {
        dropped += agent.followers.lock().unwrap().tell(&line(number));
        let got = timeout(FAILSAFE, first.line()).await.unwrap().unwrap();
        assert_eq!(got.unwrap(), line(number));
    }
    assert_eq!(dropped, 1);
    assert_eq!(agent.followers.lock().unwrap().0.len(), 1);
    drop(first);
    agent
        .until(|agent| {
            let mut followers = agent.followers.lock().unwrap();
            followers.tell(&Bytes::from_static(b"1"));
            followers.is_empty()
        })
        .await;
}

#[tokio::test]
async fn the_end_of_the_agent_is_the_end_of_the_lines() {
    let agent = Agent::usual();
    let path = agent.path();
    let mut lines = follow(&path, FAILSAFE).await.unwrap();
    agent
        .until(|agent| !agent.followers.lock().unwrap().is_empty())
        .await;
    *agent.followers.lock().unwrap() = Followers::default();
    assert_eq!(
        timeout(FAILSAFE, lines.line()).await.unwrap().unwrap(),
        None
    );
    agent.tasks[0].abort();
    let wait = async {
        while path.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(FAILSAFE, wait).await.unwrap();
    match ask(&path, &Request::Status {}, FAILSAFE).await {
        Err(AskError::NoAgent) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_agent_that_never_answers_costs_no_more_than_the_limit() {
    let folder = Fixture::new();
    let path = folder.path().join("agent.sock");
    let _listener = Listener::bind(&path).unwrap();
    let limit = Duration::from_millis(100);
    match ask(&path, &Request::Status {}, limit).await {
        Err(AskError::Late(late)) => assert_eq!(late, limit),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_dead_agent_left_is_replaced() {
    let folder = Fixture::new();
    let path = folder.path().join("deep/agent.sock");
    let first = Listener::bind(&path).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    drop(first);
    assert!(!path.exists());
    // As kill -9 leaves it: both files, nobody behind them.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    fs::write(folder.path().join("deep/agent.sock.new"), "").unwrap();
    assert!(StdStream::connect(&path).is_err());
    let second = Listener::bind(&path).unwrap();
    assert!(StdStream::connect(&path).is_ok());
    assert_eq!(mode(&path), 0o600);
    drop(second);
}

#[tokio::test]
async fn a_live_one_is_refused_and_goes_on() {
    let folder = Fixture::new();
    let path = folder.path().join("agent.sock");
    let _live = Listener::bind(&path).unwrap();
    let why = Listener::bind(&path).unwrap_err();
    assert!(matches!(why, BindError::Live(_)), "{why}");
    assert!(
        why.to_string().contains("another agent is running"),
        "{why}"
    );
    assert!(StdStream::connect(&path).is_ok());
    // Somebody who knows nothing of our lock.
    let other = folder.path().join("other.sock");
    let _other = std::os::unix::net::UnixListener::bind(&other).unwrap();
    assert!(matches!(Listener::bind(&other), Err(BindError::Live(_))));
    assert!(StdStream::connect(&other).is_ok());
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = Fixture::new();
    folder.file("agent.sock", "precious");
    let path = folder.path().join("agent.sock");
    assert!(matches!(Listener::bind(&path), Err(BindError::NoSocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let long = folder.path().join("x".repeat(200));
    assert!(matches!(
        Listener::bind(&long),
        Err(BindError::Failed { .. })
    ));
    let nowhere = folder.path().join("agent.sock/under/a.sock");
    assert!(matches!(
        Listener::bind(&nowhere),
        Err(BindError::Failed { .. })
    ));
}

#[tokio::test]
async fn a_socket_that_was_taken_over_is_not_removed() {
    let folder = Fixture::new();
    let path = folder.path().join("agent.sock");
    let first = Listener::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
}

#[test]
fn root_and_the_own_user_may_ask() {
    use super::server::may_ask;
    assert!(may_ask(0, 0) && may_ask(0, 7) && may_ask(7, 7));
    assert!(!may_ask(7, 0) && !may_ask(8, 7));
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_file_lets_it() {
    let agent = Agent::usual();
    let path = agent.path();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(agent.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The system call itself changes one thread; the C library would change all.
    let asked = tokio::task::spawn_blocking(move || {
        std::thread::spawn(move || {
            // SAFETY: no pointers; this thread ends right after.
            let set = unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) };
            if set != 0 {
                return None;
            }
            let stream = StdStream::connect(path).ok()?;
            let mut line = String::new();
            std::io::Read::read_to_string(&mut &stream, &mut line).ok()?;
            Some(line)
        })
        .join()
        .unwrap()
    });
    match timeout(FAILSAFE, asked).await.unwrap().unwrap() {
        Some(line) => assert!(line.contains("only root"), "{line}"),
        None => println!("SKIP: this test may not become another user"),
    }
}

#[tokio::test]
async fn a_line_that_is_given_up_half_way_is_not_lost() {
    let folder = Fixture::new();
    let path = folder.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let mut lines = follow(&path, FAILSAFE).await.unwrap();
    let (mut agent, _) = listener.accept().await.unwrap();
    for half in ["{\"a\":", "1}", "\n"] {
        agent.write_all(half.as_bytes()).await.unwrap();
        if half != "\n" {
            let given_up = timeout(Duration::from_millis(20), lines.line()).await;
            assert!(given_up.is_err());
        }
    }
    assert_eq!(lines.line().await.unwrap().unwrap(), "{\"a\":1}");
}
