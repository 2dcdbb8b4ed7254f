//! Sockets at which no runtime listens, but somebody else.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use anyhow::{Context, Result};

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Takes connections and says nothing.
    Hang,
    /// Takes connections and says what is no HTTP/2.
    Garbage,
    /// Begins as HTTP/2 does, and then says nothing more.
    HalfHello,
    /// Announces a frame of 16 MiB after the beginning of HTTP/2.
    HugeFrame,
    /// Closes each connection at once.
    CloseEarly,
    /// Says everything back.
    Echo,
}

/// Somebody who listens; nobody does any more when this is dropped.
#[derive(Debug)]
pub struct BadSocket {
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

/// An empty SETTINGS frame, with which a server of HTTP/2 begins (RFC 9113, section 3.4).
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// What ends the one who listens.
const END: &[u8] = b"the end of the lab";

impl BadSocket {
    /// Listens there.
    pub fn new(path: &Path, habit: Habit) -> Result<Self> {
        let listener = UnixListener::bind(path)
            .with_context(|| format!("cannot listen at {}", path.display()))?;
        let thread = std::thread::Builder::new().name("bad socket".into());
        let thread = thread.spawn(move || serve(&listener, habit))?;
        Ok(Self {
            path: path.to_owned(),
            thread: Some(thread),
        })
    }
}

fn serve(listener: &UnixListener, habit: Habit) {
    // Connections stay open until the end.
    let mut kept = Vec::new();
    for stream in listener.incoming().map_while(Result::ok) {
        let Ok(mut writer) = stream.try_clone() else {
            return;
        };
        let mut first = [0; END.len()];
        let read = (&stream).read(&mut first).unwrap_or(0);
        if &first[..read] == END {
            return;
        }
        // Whoever does not listen to us is none of our concern.
        let _ = match habit {
            Habit::Hang => Ok(()),
            Habit::Garbage => writer.write_all(&[0xff; 4096]),
            Habit::HalfHello => writer.write_all(SETTINGS),
            Habit::HugeFrame => writer
                .write_all(SETTINGS)
                .and_then(|()| writer.write_all(b"\xff\xff\xff\0\0\0\0\0\x01")),
            Habit::CloseEarly => stream.shutdown(Shutdown::Both),
            Habit::Echo => writer.write_all(&first[..read]),
        };
        if habit != Habit::CloseEarly {
            kept.push(stream);
        }
    }
}

impl Drop for BadSocket {
    fn drop(&mut self) {
        if let Ok(mut stream) = UnixStream::connect(&self.path)
            && stream.write_all(END).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}
