//! A client of Redis as applications have one: connections that write and read values, a time limit for each request, and a new
//! connection after one that ran into it. Now and then it says how much it has done so far.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::say;
use crate::sys;

/// Between two lines of progress.
const TELL: Duration = Duration::from_millis(200);
/// Before a connection that failed is made anew.
const REST: Duration = Duration::from_millis(50);

/// Settings of the client.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The server.
    #[arg(long)]
    pub to: SocketAddr,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Bytes of a value.
    #[arg(long, default_value_t = 16_384)]
    pub value: usize,
    /// Milliseconds that a request may take.
    #[arg(long, default_value_t = 1000)]
    pub limit: u64,
    /// Milliseconds between an answer and the next request.
    #[arg(long, default_value_t = 10)]
    pub pause: u64,
}

/// What all connections have done so far.
#[derive(Debug, Default)]
struct Done {
    answers: AtomicU64,
    timeouts: AtomicU64,
    failures: AtomicU64,
}

impl Done {
    fn json(&self) -> Value {
        let [answers, timeouts, failures] = [&self.answers, &self.timeouts, &self.failures]
            .map(|count| count.load(Ordering::Relaxed));
        json!({"answers": answers, "timeouts": timeouts, "failures": failures})
    }
}

/// Asks until stopped.
pub fn run(args: &Args) -> Result<()> {
    let done = Arc::new(Done::default());
    say(&json!({"ready": true}))?;
    for number in 0..args.connections {
        let done = Arc::clone(&done);
        let mut connection = Connection {
            number,
            to: args.to,
            value: vec![b'v'; args.value],
            limit: Duration::from_millis(args.limit),
            pause: Duration::from_millis(args.pause),
        };
        std::thread::spawn(move || connection.run(&done));
    }
    while !sys::stopped() {
        std::thread::sleep(TELL);
        say(&done.json())?;
    }
    say(&done.json())
}

struct Connection {
    number: usize,
    to: SocketAddr,
    value: Vec<u8>,
    limit: Duration,
    pause: Duration,
}

impl Connection {
    /// Connects and asks, again and again.
    fn run(&mut self, done: &Done) {
        while !sys::stopped() {
            let ended = TcpStream::connect_timeout(&self.to, self.limit)
                .and_then(|stream| self.ask(&stream, done));
            let Err(error) = ended else { return };
            let late = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock);
            let count = if late { &done.timeouts } else { &done.failures };
            count.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(REST);
        }
    }

    /// Writes and reads its key in turns; ends well only when a stop was asked for.
    fn ask(&self, stream: &TcpStream, done: &Done) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let key = format!("key:{}", self.number);
        let value = String::from_utf8_lossy(&self.value);
        let set = command(&["SET", &key, &value]);
        let get = command(&["GET", &key]);
        let bulk = format!("${}\r\n{value}\r\n", value.len());
        while !sys::stopped() {
            for (request, answer) in [(&set, "+OK\r\n"), (&get, bulk.as_str())] {
                let end = Instant::now() + self.limit;
                write_all(stream, request, end)?;
                expect(stream, answer.as_bytes(), end)?;
                done.answers.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(self.pause);
            }
        }
        Ok(())
    }
}

/// A request as Redis reads it: an array of strings.
fn command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text.into_bytes()
}

/// What is left of the time; none left is an error, as the operating system's own would be.
fn left(end: Instant) -> std::io::Result<Option<Duration>> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(Some(left))
}

fn write_all(mut stream: &TcpStream, mut bytes: &[u8], end: Instant) -> std::io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(left(end)?)?;
        let count = stream.write(bytes)?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Reads exactly this answer.
fn expect(mut stream: &TcpStream, answer: &[u8], end: Instant) -> std::io::Result<()> {
    let mut got = vec![0; answer.len()];
    let mut at = 0;
    while at < got.len() {
        stream.set_read_timeout(left(end)?)?;
        match stream.read(&mut got[at..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => at += count,
        }
        // An error of the server is shorter than what is waited for, and would be taken for a late answer.
        if got[..at] != answer[..at] {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn requests_are_as_redis_reads_them() {
        assert_eq!(
            command(&["SET", "k", "value"]),
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n"
        );
    }

    #[test]
    fn a_wrong_answer_is_told_from_a_late_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"-ERR").unwrap();
        let end = || Instant::now() + Duration::from_millis(50);
        let wrong = expect(&stream, b"+OK\r\n", end()).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::InvalidData);
        server.write_all(b"+O").unwrap();
        let late = expect(&stream, b"+OK\r\n", end()).unwrap_err().kind();
        assert!(matches!(late, ErrorKind::WouldBlock | ErrorKind::TimedOut));
    }
}
