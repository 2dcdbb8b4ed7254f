//! What comes out of a running guest: its output, copied as it arrives, and the few words by which
//! its init tells how the command ended. `init.sh` is the other end.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// What the guest says about itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The machine is prepared and the command runs.
    Ready,
    /// The machine could not be prepared.
    Failed(String),
    /// The command is about to end the machine, without any more words.
    Crashing,
    /// The command ended; this many bytes of packed output follow.
    Ended { status: i32, size: usize },
    /// The packed content of `/share/out`.
    Output(Vec<u8>),
}

/// The host's ends of the serial ports, before QEMU takes the other ends.
#[derive(Debug)]
pub(crate) struct Sockets {
    listeners: [UnixListener; 3],
}

/// The threads that read from a running guest.
#[derive(Debug)]
pub(crate) struct Readers {
    /// News in the order of arrival.
    pub(crate) news: Receiver<News>,
    copiers: [JoinHandle<()>; 2],
}

/// A longer line is passed on in parts.
const LONGEST_LINE: u64 = 8192;
/// The sockets' names in the folder of a run.
pub(crate) const NAMES: [&str; 3] = ["stdout", "stderr", "control"];

impl Sockets {
    /// Makes the sockets in `folder`.
    pub(crate) fn bind(folder: &Path) -> Result<Self> {
        let bind = |name: &str| {
            let path = folder.join(name);
            UnixListener::bind(&path).with_context(|| format!("cannot make {}", path.display()))
        };
        let [stdout, stderr, control] = NAMES;
        let listeners = [bind(stdout)?, bind(stderr)?, bind(control)?];
        for listener in &listeners {
            listener
                .set_nonblocking(true)
                .context("cannot prepare a socket")?;
        }
        Ok(Self { listeners })
    }

    /// Waits for QEMU to connect, as long as `alive` says so, and starts the readers.
    pub(crate) fn accept(
        self,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        mut alive: impl FnMut() -> Result<bool>,
    ) -> Result<Readers> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut wait = |listener: &UnixListener| -> Result<UnixStream> {
            loop {
                if let Ok((stream, _)) = listener.accept() {
                    stream
                        .set_nonblocking(false)
                        .context("cannot prepare a socket")?;
                    return Ok(stream);
                }
                if !alive()? || Instant::now() > deadline {
                    bail!("QEMU did not start");
                }
                thread::sleep(Duration::from_millis(5));
            }
        };
        let [out, err, control] = &self.listeners;
        let (out, err, control) = (wait(out)?, wait(err)?, wait(control)?);
        let (sender, news) = channel();
        // This thread ends with the socket; nobody has to wait for it.
        thread::spawn(move || listen(BufReader::new(control), &sender));
        Ok(Readers {
            news,
            copiers: [
                thread::spawn(move || copy(out, stdout)),
                thread::spawn(move || copy(err, stderr)),
            ],
        })
    }
}

impl Readers {
    /// Waits until all output is copied; QEMU must have ended.
    pub(crate) fn finish(self) {
        for copier in self.copiers {
            // A copier that panicked has said so on stderr already.
            let _ = copier.join();
        }
    }
}

/// Copies by whole lines, so that stdout and stderr do not mix within one on a terminal.
fn copy(stream: impl Read, mut sink: Box<dyn Write + Send>) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut open = true;
    loop {
        line.clear();
        let read = stream
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(1..)) {
            return;
        }
        // Output is taken off the guest even if nobody reads ours any more: it must not hang.
        open = open && sink.write_all(&line).and_then(|()| sink.flush()).is_ok();
    }
}

fn listen(mut control: impl std::io::BufRead, sender: &Sender<News>) {
    let mut line = String::new();
    loop {
        line.clear();
        if control
            .by_ref()
            .take(4096)
            .read_line(&mut line)
            .unwrap_or(0)
            == 0
        {
            return;
        }
        let Some(news) = parse(line.trim_end()) else {
            continue;
        };
        let size = match &news {
            News::Ended { size, .. } => *size,
            _ => 0,
        };
        if sender.send(news).is_err() {
            return;
        }
        if size > 0 {
            let mut output = Vec::new();
            // A short read leaves the output short, which the receiver checks.
            let _ = control.by_ref().take(size as u64).read_to_end(&mut output);
            let _ = sender.send(News::Output(output));
        }
    }
}

fn parse(line: &str) -> Option<News> {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("ready", _) => Some(News::Ready),
        ("crash", _) => Some(News::Crashing),
        ("failed", why) => Some(News::Failed(why.to_owned())),
        ("end", numbers) => {
            let (status, size) = numbers.split_once(' ')?;
            Some(News::Ended {
                status: status.parse().ok()?,
                size: size.parse().ok()?,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_and_the_output_follows_its_announcement() {
        let (sender, news) = channel();
        listen(&b"noise\nready\ncrash\nend 3 5\nabcde"[..], &sender);
        drop(sender);
        let all: Vec<News> = news.iter().collect();
        let expected = [
            News::Ready,
            News::Crashing,
            News::Ended { status: 3, size: 5 },
            News::Output(b"abcde".to_vec()),
        ];
        assert_eq!(all, expected);
    }
}
