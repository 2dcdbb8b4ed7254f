//! A program on a terminal of its own: a pseudo-terminal whose other end is read by a terminal parser that we did not write.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// A running program and its terminal. Dropping it hangs up.
pub struct Terminal {
    child: Child,
    ours: File,
    /// Kept open, so that the modes can be read after the program has ended.
    its: OwnedFd,
    parser: Arc<Mutex<vt100::Parser>>,
    modes: Modes,
}

/// The modes of a terminal, as `tcgetattr` tells them.
type Modes = ([libc::tcflag_t; 4], [libc::cc_t; libc::NCCS]);

impl Terminal {
    /// Starts a program on a terminal of `xterm`'s kind with so many columns and rows.
    pub fn start(command: &mut Command, (columns, rows): (u16, u16)) -> Result<Self> {
        let (ours, its) = open(columns, rows).context("no pseudo-terminal")?;
        let modes = modes_of(&its)?;
        for set in [Command::stdin, Command::stdout, Command::stderr] {
            set(command, Stdio::from(its.try_clone()?));
        }
        command.env("TERM", "xterm");
        // SAFETY: the function makes two system calls and allocates nothing.
        unsafe { command.pre_exec(lead) };
        let child = command.spawn().context("cannot start the program")?;
        // What a program without a size would think that it has.
        let (parser_rows, parser_columns) = match (rows, columns) {
            (0, _) | (_, 0) => (24, 80),
            size => size,
        };
        let parser = vt100::Parser::new(parser_rows, parser_columns, 1000);
        let parser = Arc::new(Mutex::new(parser));
        let (mut from, to) = (ours.try_clone()?, Arc::clone(&parser));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                lock(&to).process(&bytes[..read]);
            }
        });
        Ok(Self {
            child,
            ours,
            its,
            parser,
            modes,
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Presses keys, as a terminal sends them.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.ours.write_all(keys.as_bytes()).context("a key")
    }

    /// Gives it another size.
    pub fn resize(&mut self, columns: u16, rows: u16) -> Result<()> {
        let size = winsize(columns, rows);
        // SAFETY: the descriptor is ours and the struct lives.
        let done = unsafe { libc::ioctl(self.ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        anyhow::ensure!(done == 0, "resize: {}", io::Error::last_os_error());
        lock(&self.parser).screen_mut().set_size(rows, columns);
        Ok(())
    }

    /// The text on the screen.
    #[must_use]
    pub fn text(&self) -> String {
        lock(&self.parser).screen().contents()
    }

    /// Whether the alternate screen is shown.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        lock(&self.parser).screen().alternate_screen()
    }

    /// Whether the cursor is hidden.
    #[must_use]
    pub fn hides_cursor(&self) -> bool {
        lock(&self.parser).screen().hide_cursor()
    }

    /// Whether a cell of the screen has a colour.
    #[must_use]
    pub fn has_color(&self) -> bool {
        let parser = lock(&self.parser);
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let mut places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        places.any(|(row, column)| {
            screen.cell(row, column).is_some_and(|cell| {
                let plain = vt100::Color::Default;
                cell.fgcolor() != plain || cell.bgcolor() != plain
            })
        })
    }

    /// Waits until the text on the screen is as wanted.
    pub fn wait(
        &self,
        what: &str,
        patience: Duration,
        is: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            let text = self.text();
            if is(&text) {
                return Ok(text);
            }
            if Instant::now() >= deadline {
                bail!("waited {patience:?} for {what}, and the screen is\n{text}");
            }
            thread::sleep(PAUSE);
        }
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: the child is ours and was not waited for, so its id is still its own.
        let sent = unsafe { libc::kill(pid, signal) };
        anyhow::ensure!(sent == 0, "kill: {}", io::Error::last_os_error());
        Ok(())
    }

    /// Waits for its end.
    pub fn finish(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!(
                    "it did not end within {patience:?}; the screen is\n{}",
                    self.text()
                );
            }
            thread::sleep(PAUSE);
        }
    }

    /// Waits until the terminal is as it was before the program was started.
    pub fn restored(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let wrong = self.damage()?;
            if wrong.is_empty() {
                return Ok(());
            }
            // What was written may not have been read yet.
            if Instant::now() >= deadline {
                bail!("{}; the screen is\n{}", wrong.join("; "), self.text());
            }
            thread::sleep(PAUSE);
        }
    }

    fn damage(&self) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let modes = modes_of(&self.its)?;
        if modes != self.modes {
            wrong.push(format!("modes were {:?} and are {modes:?}", self.modes));
        }
        if self.is_alternate() {
            wrong.push("the alternate screen was not left".to_owned());
        }
        if self.hides_cursor() {
            wrong.push("the cursor is hidden".to_owned());
        }
        Ok(wrong)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended cannot be killed again.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(parser: &Mutex<vt100::Parser>) -> std::sync::MutexGuard<'_, vt100::Parser> {
    parser.lock().unwrap_or_else(PoisonError::into_inner)
}

fn winsize(columns: u16, rows: u16) -> libc::winsize {
    libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn open(columns: u16, rows: u16) -> io::Result<(File, OwnedFd)> {
    let (mut ours, mut its) = (-1, -1);
    let size = winsize(columns, rows);
    // SAFETY: both numbers and the size live; name and modes may be null.
    let opened = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut its,
            std::ptr::null_mut(),
            std::ptr::null(),
            &raw const size,
        )
    };
    if opened != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made these two descriptors, and nobody else has them.
    let (ours, its) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(its)) };
    for end in [ours.as_fd(), its.as_fd()] {
        // SAFETY: the descriptor is open; children must not inherit it by chance.
        unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok((File::from(ours), its))
}

/// A session of its own, whose terminal is the one of standard input.
fn lead() -> io::Result<()> {
    // SAFETY: two system calls without memory.
    let done = unsafe { libc::setsid() >= 0 && libc::ioctl(0, libc::TIOCSCTTY, 0) == 0 };
    match done {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

fn modes_of(terminal: &OwnedFd) -> Result<Modes> {
    // SAFETY: all zeros are a termios, and the kernel fills it.
    let mut modes: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the struct is ours.
    let got = unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut modes) };
    anyhow::ensure!(got == 0, "tcgetattr: {}", io::Error::last_os_error());
    let flags = [modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag];
    Ok((flags, modes.c_cc))
}
