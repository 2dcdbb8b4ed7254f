//! `tcpress top`: the live view. Reports come from one thread, keys from another, signals from a third; this one draws.

use std::{
    io::{self, IsTerminal as _, Write as _},
    panic::{self, AssertUnwindSafe},
    process::{self, ExitCode},
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

use super::{
    Bounds, Paths,
    local::Local,
    observe::{begin, open_watch},
    on_one_thread,
    view::Colour,
};
use crate::{
    holders::Progress,
    report::Report,
    screen::{self, Screen},
    session::{SINGLY_UP_TO, Windows},
    top::{Key, State, Then, View},
};

/// Owners in each list of a report: all, as far as anybody could scroll.
const OWNERS: usize = 10_000;
/// Shortest interval.
const SHORTEST: Duration = Duration::from_millis(500);
/// How long the end may take before the process ends without it: a terminal that nobody reads takes no last frame.
const PATIENCE: Duration = Duration::from_secs(2);

/// A full screen of owners with what is refused to them, what they hold and how it grows, against the marks of tcp_mem.
///
/// Probes stay attached from the first window to the last, and every count is in one of them. `?` shows the keys.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Length of a window, such as 500ms, 2s or 1m; 500ms at least.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Print one frame as plain text when the first window has ended, and end.
    #[arg(long)]
    once: bool,
    /// Trace nothing: answer from the kernel's counters, sock_diag and /proc.
    #[arg(long)]
    no_bpf: bool,
    /// Whether what matters stands out by colour; auto: unless NO_COLOR is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    color: Colour,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    local: Local,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = super::duration(text)?;
    if interval < SHORTEST {
        return Err(format!("it must be at least {} ms", SHORTEST.as_millis()));
    }
    Ok(interval)
}

/// What comes from other threads.
enum Message {
    /// A window has ended, or the first look was taken.
    Report(Box<Report>),
    /// What is being done, in words.
    Words(String),
    /// A key.
    Key(Key),
    /// The terminal has another size.
    Resize,
    /// Somebody asked us to end, or there are no keys any more.
    Stop,
    /// There will be no reports any more.
    Failed(anyhow::Error),
}

pub(super) fn run(paths: &Paths, args: Args) -> anyhow::Result<ExitCode> {
    let plain = args.once;
    if !plain {
        ensure_terminal()?;
        // Whatever is said on stderr would stand in the midst of the screen.
        super::say_no_more();
    }
    let colour = args.color.wanted(true);
    let (send, receive) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let (paths, reports) = (paths.clone(), send.clone());
    let windows = spawn("windows", send.clone(), move || {
        on_one_thread(watch(&paths, &args, &reports, stopped)).map(drop)
    })?;
    signals(send.clone())?;
    let done = match plain {
        true => once(&receive),
        false => full_screen(&receive, send, colour),
    };
    // So that probes are detached in their order, unless sockets are being read just now.
    drop(stop);
    let deadline = Instant::now() + PATIENCE / 2;
    while !windows.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    done.map(|()| ExitCode::SUCCESS)
}

fn ensure_terminal() -> anyhow::Result<()> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        bail!(
            "top needs a terminal on standard input and output (kubectl exec -it gives one); `tcpress top --once` prints a frame without"
        );
    }
    match std::env::var("TERM") {
        Ok(term) if !term.is_empty() && term != "dumb" => Ok(()),
        _ => bail!(
            "this terminal cannot be drawn on (TERM is dumb or not set): set TERM=xterm if it can, or use `tcpress top --once`"
        ),
    }
}

/// Windows until nobody wants them any more; each as a report to the screen.
async fn watch(
    paths: &Paths,
    args: &Args,
    send: &Sender<Message>,
    mut stopped: oneshot::Receiver<()>,
) -> anyhow::Result<ExitCode> {
    let say = |words: &str| drop(send.send(Message::Words(words.to_owned())));
    let report = |report: Report| drop(send.send(Message::Report(Box::new(report))));
    let usual = !args.no_bpf && args.bounds == Bounds::default();
    let agent = match usual {
        true => args.local.follow().await,
        false => None,
    };
    if let Some(mut agent) = agent {
        say("asking the agent of this node: its windows are shown");
        loop {
            let line = tokio::select! {
                _ = &mut stopped => return Ok(ExitCode::SUCCESS),
                line = agent.line() => line.context("the agent of this node does not answer any more")?,
            };
            let line = line.context("the agent of this node has ended")?;
            report(serde_json::from_slice(&line).context("the agent's report is not understood")?);
        }
    }
    say("reading sockets");
    let mut begun = begin(paths, SINGLY_UP_TO, &Progress::new(&say))?;
    let node = begun.node.clone();
    report(begun.snapshot("not traced yet").report(&node, OWNERS));
    say("attaching probes");
    let watch = match args.no_bpf {
        true => Err("not asked to trace (--no-bpf)".to_owned()),
        false => open_watch(paths, &args.bounds, &begun.sources, false),
    };
    let mut windows = Windows::begin(
        watch,
        &begun.sources,
        begun.attributor,
        begun.live,
        begun.start,
    );
    say("the first window is open");
    let mut end = Instant::now();
    loop {
        // A turn that took long does not make the next window shorter than it was meant to be.
        end = (end + args.interval).max(Instant::now() + args.interval / 2);
        tokio::select! {
            _ = &mut stopped => return Ok(ExitCode::SUCCESS),
            waited = windows.wait(end) => waited?,
        }
        report(windows.turn()?.report(&node, OWNERS));
    }
}

/// The frame of the first window, on standard output.
fn once(receive: &Receiver<Message>) -> anyhow::Result<()> {
    let mut state = State::default();
    for message in receive {
        match message {
            Message::Report(report) => {
                let window = report.window.duration_ns > 0;
                state.take(*report);
                if window {
                    let (width, height) = match io::stdout().is_terminal() {
                        true => screen::size(),
                        false => screen::DEFAULT_SIZE,
                    };
                    let frame = View::plain(&state, width, height);
                    io::stdout()
                        .write_all(frame.as_bytes())
                        .context("cannot write to stdout")?;
                    return Ok(());
                }
            }
            Message::Words(words) => super::say(&words),
            Message::Failed(error) => return Err(error),
            Message::Stop => bail!("stopped before the first window had ended"),
            Message::Key(_) | Message::Resize => {}
        }
    }
    bail!("there is nobody left to report")
}

fn full_screen(
    receive: &Receiver<Message>,
    send: Sender<Message>,
    colour: bool,
) -> anyhow::Result<()> {
    let mut state = State::default();
    let mut screen = Screen::take().context("cannot take over the terminal")?;
    keys(send)?;
    loop {
        screen
            .draw(|frame| frame.render_widget(View::new(&state, colour), frame.area()))
            .context("cannot draw on the terminal")?;
        let Ok(first) = receive.recv() else {
            return Ok(());
        };
        // What has come meanwhile needs no frame of its own.
        for message in std::iter::once(first).chain(receive.try_iter()) {
            match message {
                Message::Report(report) => state.take(*report),
                Message::Words(words) => state.say(&words),
                Message::Key(key) if state.press(key) == Then::Quit => return Ok(()),
                Message::Key(_) | Message::Resize => {}
                Message::Stop => return Ok(()),
                Message::Failed(error) => return Err(error),
            }
        }
    }
}

/// Starts a thread without which there is no view: when it ends, fails or panics, so does the view.
fn spawn(
    name: &str,
    send: Sender<Message>,
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let failed = format!("the thread for {name} panicked");
    let all = move || {
        let done = panic::catch_unwind(AssertUnwindSafe(work));
        let done = done.unwrap_or_else(|_| Err(anyhow!(failed)));
        // Nobody listens after the end.
        let _ = send.send(done.map_or_else(Message::Failed, |()| Message::Stop));
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(all);
    thread.with_context(|| format!("cannot start the thread for {name}"))
}

/// Ends the view when the system asks for it; and the process, where the view does not end.
fn signals(send: Sender<Message>) -> anyhow::Result<()> {
    let stop = send.clone();
    let wait = move || {
        on_one_thread(async {
            let mut terminated = signal(SignalKind::terminate())?;
            let mut hung_up = signal(SignalKind::hangup())?;
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
                _ = hung_up.recv() => {}
            }
            Ok(ExitCode::SUCCESS)
        })?;
        let _ = stop.send(Message::Stop);
        thread::sleep(PATIENCE);
        screen::give_modes_back();
        process::exit(1);
    };
    spawn("signals", send, wait).map(drop)
}

/// Reads keys until there are none any more.
fn keys(send: Sender<Message>) -> anyhow::Result<()> {
    let keys = send.clone();
    let read = move || {
        loop {
            let message = match event::read().context("cannot read keys")? {
                Event::Key(key) if key.kind != KeyEventKind::Release => match key_of(key) {
                    Some(key) => Message::Key(key),
                    None => continue,
                },
                Event::Resize(..) => Message::Resize,
                _ => continue,
            };
            if keys.send(message).is_err() {
                return Ok(());
            }
        }
    };
    spawn("keys", send, read).map(drop)
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        // Some terminals send these for Backspace and Enter.
        KeyCode::Char('h') if control => Key::Backspace,
        KeyCode::Char('j') if control => Key::Enter,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter | KeyCode::Right => Key::Enter,
        KeyCode::Esc | KeyCode::Left => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
