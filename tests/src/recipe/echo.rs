//! The well-behaved victim: requests and answers of fixed sizes. An answer of many kilobytes needs receive memory at the client,
//! a large request needs it at the server, so either side can be made to suffer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::{accept, connect, listen, say};
use crate::sys;

/// How long one blocking read or write may take before the stop flag is looked at again.
const TURN: Duration = Duration::from_millis(200);

/// Sizes that both sides must agree on.
#[derive(Clone, Debug, clap::Args)]
pub struct Sizes {
    /// Bytes of a request.
    #[arg(long, default_value_t = 64)]
    pub request: usize,
    /// Bytes of an answer.
    #[arg(long, default_value_t = 32_768)]
    pub response: usize,
}

/// Settings of the server.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// Where to listen.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Sizes.
    #[command(flatten)]
    pub sizes: Sizes,
}

/// Settings of the client.
#[derive(Debug, clap::Args)]
pub struct ClientArgs {
    /// The server.
    #[arg(long)]
    pub to: SocketAddr,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Milliseconds between an answer and the next request.
    #[arg(long, default_value_t = 1)]
    pub pause: u64,
    /// Sizes.
    #[command(flatten)]
    pub sizes: Sizes,
}

/// Serves until stopped, each connection in a thread of its own.
pub fn serve(args: &ServerArgs) -> Result<()> {
    let listener = listen(args.listen)?;
    say(&json!({"ready": true}))?;
    while !sys::stopped() {
        match accept(&listener)? {
            Some(stream) => {
                let sizes = args.sizes.clone();
                std::thread::spawn(move || answer(&stream, &sizes));
            }
            None => {
                sys::readable(&[listener.as_raw_fd()], TURN)?;
            }
        }
    }
    say(&json!({"stopped": true}))
}

fn answer(stream: &TcpStream, sizes: &Sizes) -> std::io::Result<()> {
    patient(stream)?;
    let mut request = vec![0; sizes.request];
    let response = vec![b'r'; sizes.response];
    while read_all(stream, &mut request)? && write_all(stream, &response)? {}
    Ok(())
}

/// Asks until stopped; the result has the answers of every second.
pub fn ask(args: &ClientArgs) -> Result<()> {
    let streams = (0..args.connections)
        .map(|_| connect(args.to))
        .collect::<Result<Vec<_>>>()?;
    say(&json!({"ready": true}))?;
    let start = Instant::now();
    let threads: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            let (sizes, pause) = (args.sizes.clone(), Duration::from_millis(args.pause));
            std::thread::spawn(move || ask_one(&stream, &sizes, pause, start))
        })
        .collect();
    let mut per_second: Vec<u64> = Vec::new();
    let mut failed = 0;
    for thread in threads {
        match thread.join() {
            Ok(Ok(seconds)) => {
                for second in seconds {
                    if per_second.len() <= second {
                        per_second.resize(second + 1, 0);
                    }
                    per_second[second] += 1;
                }
            }
            Ok(Err(_)) | Err(_) => failed += 1,
        }
    }
    let answers: u64 = per_second.iter().sum();
    say(
        &json!({"answers": answers, "answers_per_second": per_second, "failed_connections": failed}),
    )
}

/// The second, since `start`, of each answer.
fn ask_one(
    stream: &TcpStream,
    sizes: &Sizes,
    pause: Duration,
    start: Instant,
) -> std::io::Result<Vec<usize>> {
    patient(stream)?;
    let request = vec![b'q'; sizes.request];
    let mut response = vec![0; sizes.response];
    let mut seconds = Vec::new();
    while write_all(stream, &request)? && read_all(stream, &mut response)? {
        seconds.push(usize::try_from(start.elapsed().as_secs()).map_err(std::io::Error::other)?);
        std::thread::sleep(pause);
    }
    Ok(seconds)
}

/// Lets blocking calls return now and then.
fn patient(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TURN))?;
    stream.set_write_timeout(Some(TURN))
}

/// Fills the buffer; false when the peer has closed or a stop was asked for.
fn read_all(mut stream: &TcpStream, buffer: &mut [u8]) -> std::io::Result<bool> {
    let mut at = 0;
    while at < buffer.len() {
        match stream.read(&mut buffer[at..]) {
            Ok(0) => return Ok(false),
            Ok(count) => at += count,
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
        if sys::stopped() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sends the buffer; false when a stop was asked for.
fn write_all(mut stream: &TcpStream, buffer: &[u8]) -> std::io::Result<bool> {
    let mut at = 0;
    while at < buffer.len() {
        match stream.write(&buffer[at..]) {
            Ok(count) => at += count,
            Err(error) if again(&error) => {}
            Err(error) => return Err(error),
        }
        if sys::stopped() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn again(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::TimedOut
    )
}
