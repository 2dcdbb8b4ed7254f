//! `tcpress top` on a terminal of its own, read by a terminal parser that we did not write.

mod common;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use tcpress_lab::terminal::Terminal;
use tracer::screen::Screen;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Tells a child that it is one, and how it shall panic.
const PANIC: &str = "TCPRESS_TEST_PANIC";
const SIZE: (u16, u16) = (80, 24);

fn top() -> Command {
    let mut command = Command::new(common::tcpress());
    command.args([
        "top",
        "--no-bpf",
        "--interval",
        "500ms",
        "--cri-socket",
        "none",
    ]);
    command.env_remove("NO_COLOR");
    command
}

/// A connection with something in it that nobody has read, so that somebody holds TCP memory: this test itself.
fn unread() -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut from = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (to, _) = listener.accept().unwrap();
    from.write_all(&[7; 20_000]).unwrap();
    (listener, from, to)
}

/// Started, until the first window has ended.
fn started(command: &mut Command, size: (u16, u16)) -> Terminal {
    let terminal = Terminal::start(command, size).expect("a terminal");
    let first = |text: &str| text.contains("not traced (v says why)");
    terminal.wait("the first window", PATIENCE, first).unwrap();
    assert!(terminal.is_alternate() && terminal.hides_cursor());
    terminal
}

fn ended(mut terminal: Terminal, code: i32) -> Terminal {
    let status = terminal.finish(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(code), "{status}: {}", terminal.text());
    terminal.restored(PATIENCE).unwrap();
    terminal
}

#[test]
fn it_is_driven_by_keys_and_gives_the_terminal_back() {
    let _unread = unread();
    let mut terminal = started(&mut top(), SIZE);
    assert!(terminal.has_color());
    let mut shows = |keys: &str, words: &str| {
        terminal.press(keys).unwrap();
        terminal
            .wait(words, PATIENCE, |text| text.contains(words))
            .unwrap()
    };
    shows("s", "PRUNES/S▼");
    shows("r", "PRUNES/S▲");
    shows("r", "PRUNES/S▼");
    shows("t", "PRUNES▼");
    shows("/no owner has this name", "/no owner has this name_");
    shows("\r", "0 of");
    shows("\u{1b}", "Enter sockets");
    shows(" ", "PAUSED");
    shows("?", "by the next, the previous column");
    shows("\u{1b}", "PRUNES▼");
    // The arrows, as a terminal in its normal mode sends them, then Enter.
    shows("\u{1b}[B\u{1b}[A\r", "since the start:");
    shows("\u{7f}", "PRUNES▼");
    shows("v", "not asked to trace (--no-bpf)");
    shows("v", "PRUNES▼");
    terminal.press("q").unwrap();
    ended(terminal, 0);
}

#[test]
fn it_takes_the_size_of_the_terminal() {
    let _unread = unread();
    let mut terminal = started(&mut top(), SIZE);
    assert!(!terminal.text().contains("SOCKETS"));
    terminal.resize(120, 40).unwrap();
    let wide = |text: &str| text.contains("SOCKETS") && text.contains("UNREAD");
    terminal.wait("more columns", PATIENCE, wide).unwrap();
    terminal.press("\u{3}").unwrap();
    ended(terminal, 0);
    // As one that is made by `kubectl exec` may be at first.
    let mut terminal = started(&mut top(), (0, 0));
    terminal.press("q").unwrap();
    ended(terminal, 0);
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        let terminal = started(&mut top(), SIZE);
        terminal.signal(signal).unwrap();
        ended(terminal, 0);
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    let mut terminal = started(top().env("NO_COLOR", "1"), SIZE);
    assert!(!terminal.has_color());
    terminal.press("q").unwrap();
    ended(terminal, 0);
}

#[test]
fn an_error_gives_the_terminal_back_and_is_told() {
    let mut command = top();
    command.args(["--proc", "/nonexistent"]);
    let terminal = Terminal::start(&mut command, SIZE).unwrap();
    let terminal = ended(terminal, 1);
    let told = |text: &str| text.contains("/nonexistent is no procfs of a node");
    terminal.wait("why it ended", PATIENCE, told).unwrap();
}

#[test]
fn panics_give_the_terminal_back() {
    for whose in ["own", "other"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "one_that_panics", "--nocapture"])
            .env(PANIC, whose)
            // What it says would be scrolled off the screen.
            .env("RUST_BACKTRACE", "0");
        let terminal = Terminal::start(&mut command, SIZE).unwrap();
        let terminal = ended(terminal, if whose == "own" { 101 } else { 0 });
        let told = |text: &str| text.contains("on purpose");
        terminal
            .wait("the words of the panic", PATIENCE, told)
            .unwrap();
    }
}

/// Not a test of its own: the program that [`panics_give_the_terminal_back`] runs.
#[test]
fn one_that_panics() {
    let Ok(whose) = std::env::var(PANIC) else {
        return;
    };
    let mut screen = Screen::take().expect("a terminal");
    let draw = |screen: &mut Screen, words: &'static str| {
        let drawn = screen.draw(|frame| frame.render_widget(words, frame.area()));
        drawn.expect("it can be drawn on");
    };
    draw(&mut screen, "before");
    if whose == "own" {
        // In the middle of a frame.
        let _ = screen.draw(|_| panic!("on purpose"));
    }
    let other = std::thread::spawn(|| panic!("on purpose"));
    assert!(other.join().is_err());
    // Whatever is drawn from now on does not reach the terminal.
    draw(&mut screen, "after");
}

#[test]
fn one_frame_is_plain_text() {
    let _unread = unread();
    let output = top()
        .arg("--once")
        .output()
        .expect("tcpress can be started");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 24);
    assert!(text.starts_with("tcpress top"), "{text}");
    assert!(text.contains("OWNER"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let output = top().output().expect("tcpress can be started");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("--once"), "{told}");
    assert!(output.stdout.is_empty());
    let dumb = top().args(["--interval", "1ms"]).output().unwrap();
    assert_eq!(dumb.status.code(), Some(2));
}
