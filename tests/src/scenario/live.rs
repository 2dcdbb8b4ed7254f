//! The live view on a terminal of its own, while segments are refused.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Outcome;
use super::flood::{Watch, flood, slow_reader};
use crate::check::Checks;
use crate::network::Network;
use crate::pod::Pod;
use crate::tcpress;
use crate::terminal::Terminal;

/// Loading and attaching under software emulation, and everything else.
const PATIENCE: Duration = Duration::from_secs(120);

/// `tcpress top`: sums since the start are the kernel's over many windows, the sockets of the victim are shown, and the terminal is
/// given back.
pub(super) fn top() -> Result<Outcome> {
    let network = Network::new()?;
    let slow = Pod::new(&network, "shop", "slow")?;
    let _reader = slow_reader(&slow)?;
    let mut command = Command::new(tcpress::program());
    command.args(["top", "--interval", "1s"]);
    let mut terminal = Terminal::start(&mut command, (100, 30))?;
    let traced = terminal.wait("the first window", PATIENCE, |text| {
        text.contains(" probes,")
    })?;
    let watch = Watch::new(&slow)?;
    // Sums since the start.
    terminal.press("t")?;
    let mut checks = Checks::new();
    checks.that(traced.contains("residual 0"), || traced.clone());
    // Over several windows.
    let _client = flood(
        &slow,
        2,
        "repeat:50x1 pause:2000 repeat:50x1 pause:2000 repeat:50x1",
    )?;
    let refused = watch.grown()?.refusals().to_string();
    let row = |text: &str| {
        let mut rows = text.lines().filter(|line| line.contains(&slow.full_name()));
        rows.any(|row| row.split_whitespace().any(|word| word == refused))
    };
    let text = terminal.wait(&format!("{refused} refused in all"), PATIENCE, row)?;
    checks.that(text.contains("residual 0"), || text.clone());
    let kernel = watch.grown()?.refusals();
    checks.equal("what the kernel refused", kernel >= 300, true);
    terminal.press("/slow\r")?;
    terminal.wait("the filter", PATIENCE, |text| text.contains("filter slow"))?;
    terminal.press("\r")?;
    let suffered = |text: &str| text.contains("SOCKETS THAT SUFFERED") && text.contains("rcvbuf");
    terminal.wait("the sockets of the victim", PATIENCE, suffered)?;
    terminal.signal(libc::SIGTERM)?;
    let status = terminal.finish(PATIENCE)?;
    checks.equal("the exit status", status.code(), Some(0));
    terminal.restored(PATIENCE)?;
    drop(terminal);
    // One frame of one window, as plain text. The TUN device of another pod is free.
    let other = Pod::new(&network, "shop", "other")?;
    let _other_reader = slow_reader(&other)?;
    let once = tcpress::call("top --once --interval 15s").start()?;
    once.said(PATIENCE, |line| line.contains("the first window is open"))?;
    let _other_client = flood(&other, 1, "repeat:25x1")?;
    let frame = once.finish()?;
    frame.expect_code(0)?;
    let mut rows = frame.stdout.iter();
    let row = rows.find(|line| line.contains(&other.full_name()));
    let row = row.with_context(|| format!("no row of the victim: {}", frame.stdout.join("\n")))?;
    checks.that(!row.contains('\u{1b}'), || row.clone());
    checks.that(
        frame
            .stdout
            .iter()
            .any(|line| line.starts_with("25 refused in all")),
        || frame.stdout.join("\n"),
    );
    checks.finish()?;
    Ok(Outcome::Pass)
}
