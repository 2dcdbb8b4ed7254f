//! The terminal as one full screen: taken over, drawn on, and given back whatever happens. An edge; what is drawn is decided in
//! [`crate::top`].
//!
//! It is given back when [`Screen`] is dropped, and by a hook when any thread panics, before the words of the panic are printed. A
//! signal that ends a process would leave it as it is: whoever takes a screen must catch SIGTERM, SIGHUP and SIGINT.

use std::{
    io::{self, Stdout, Write as _},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{
            self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
            enable_raw_mode,
        },
    },
    layout::Rect,
};

/// The size of a terminal that tells none, as one that `kubectl exec` has just made.
pub const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that is taken over.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal of standard output: raw mode, alternate screen, no cursor.
    ///
    /// # Errors
    /// When it is no terminal, or cannot be written to; it is left as it was then.
    pub fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |why| {
                give_back();
                before(why);
            }));
        });
        TAKEN.store(true, Ordering::SeqCst);
        let screen = Self::begin();
        if screen.is_err() {
            give_back();
        }
        screen
    }

    fn begin() -> io::Result<Self> {
        enable_raw_mode()?;
        // The terminal is not asked where its cursor is, as `Terminal::clear` does: the answer may take long, or never come.
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            Hide,
            Clear(ClearType::All)
        )?;
        // The size is asked for by ourselves: a terminal may say that it has none.
        let viewport = Viewport::Fixed(area());
        let backend = CrosstermBackend::new(io::stdout());
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
        Ok(Self { terminal })
    }

    /// Draws a frame as large as the terminal is now. After the terminal was given back this does nothing.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn draw(&mut self, frame: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        // Whoever gives the terminal back waits for the end of the frame; the same thread may take this lock twice.
        let _whole = io::stdout().lock();
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        let area = area();
        if self.terminal.get_frame().area() != area {
            self.terminal.resize(area)?;
        }
        self.terminal.draw(frame)?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours: its modes first, which can be done even where nobody reads what is written.
pub fn give_back() {
    if !TAKEN.load(Ordering::SeqCst) {
        return;
    }
    // Nothing can be done about a terminal that is gone.
    let _ = disable_raw_mode();
    let mut out = io::stdout().lock();
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(out, LeaveAlternateScreen, Show);
        let _ = out.flush();
    }
}

/// Gives the modes of the terminal back and nothing else, for when it takes no more output.
pub fn give_modes_back() {
    if TAKEN.load(Ordering::SeqCst) {
        let _ = disable_raw_mode();
    }
}

/// Columns and rows of the terminal.
#[must_use]
pub fn size() -> (u16, u16) {
    match terminal::window_size() {
        Ok(size) if size.columns > 0 && size.rows > 0 => (size.columns, size.rows),
        _ => DEFAULT_SIZE,
    }
}

fn area() -> Rect {
    let (columns, rows) = size();
    Rect::new(0, 0, columns, rows)
}
