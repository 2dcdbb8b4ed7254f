//! The page of one owner: what it suffered and holds, the sockets that hold most, and those that suffered.

use ratatui::{
    style::{Modifier, Style},
    text::Line,
};

use super::{TEXT, View, figures, figures::ABSENT};
use crate::{
    output::{size, text},
    report::{Holder, Report, TopSocket, Victim, VictimSocket},
    top::{
        identity::Identity,
        owners::{self, Harm},
    },
};

/// Columns of the figures beside two ends.
const FIGURES: usize = 11 + 10 + 10 + 4;
/// Narrowest room for an end: an address of IPv4 with its port.
const END: usize = 21;

/// The lines of the page.
pub(super) fn lines(view: &View<'_>, width: u16) -> Vec<Line<'static>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let state = view.state;
    let report = state.shown().report.as_ref();
    let Some((line, report)) = state.chosen().zip(report) else {
        return vec![Line::raw("this owner neither holds nor suffered any more")];
    };
    let width = usize::from(width);
    let end = (width.saturating_sub(FIGURES) / 2).clamp(END, 2 * END);
    let mut lines = vec![Line::styled(text::clean(&line.owner.title(), width), bold)];
    let mut say = |words: String| lines.extend(text::wrap(&words, TEXT).into_iter().map(Line::raw));
    say(format!("last window: {}", harm(line.now)));
    say(format!("since the start: {}", harm(line.total)));
    let victim = victim(report, line);
    if let Some(victim) = victim {
        say(format!("by limit: {}", limits(victim)));
    }
    let holder = holder(report, line);
    for words in holder.iter().flat_map(|holder| holds(holder)) {
        say(words);
    }
    let top = holder.map_or(&[][..], |holder| holder.top_sockets.as_slice());
    if !top.is_empty() {
        lines.push(Line::raw(""));
        let head = ends("LARGEST SOCKETS", "REMOTE", end);
        let head = format!("{head} {:11} {:>10} {:>10}", "STATE", "HELD", "UNREAD");
        lines.push(Line::styled(head, bold));
        for socket in top {
            lines.push(Line::raw(top_socket(socket, end)));
            lines.extend(whose(socket).map(|words| Line::raw(text::clean(&words, width))));
        }
    }
    let sockets = victim.map_or(&[][..], |victim| victim.sockets.as_slice());
    if !sockets.is_empty() {
        lines.push(Line::raw(""));
        let head = ends("SOCKETS THAT SUFFERED", "REMOTE", end);
        let head = format!("{head} {:11} {:>10} {:>10}", "LIMIT", "REFUSED", "PRUNES");
        lines.push(Line::styled(head, bold));
        lines.extend(sockets.iter().map(|it| Line::raw(suffered(it, end))));
    }
    lines
}

fn victim<'a>(report: &'a Report, line: &owners::Line) -> Option<&'a Victim> {
    let mut victims = report.victims.iter();
    victims.find(|victim| Identity::of(&victim.owner) == line.identity)
}

fn holder<'a>(report: &'a Report, line: &owners::Line) -> Option<&'a Holder> {
    let accused = report.culprits.iter().map(|culprit| &culprit.holder);
    let mut holders = report.holders.iter().chain(accused);
    holders.find(|holder| Identity::of(&holder.owner) == line.identity)
}

fn harm(harm: Harm) -> String {
    let number = |value: Option<u64>| value.map_or_else(|| ABSENT.to_owned(), size::grouped);
    let stall = harm.stall_ns.map_or_else(|| ABSENT.to_owned(), size::nanos);
    format!(
        "{} refused, {} prunes, {stall} of stall",
        size::grouped(harm.refused),
        number(harm.prunes)
    )
}

/// Which limits refused, and the longest prune.
fn limits(victim: &Victim) -> String {
    let by = &victim.refusals_by_limit;
    let counts = [
        ("rcvbuf", by.rcvbuf),
        ("tcp_mem", by.tcp_mem),
        ("memcg", by.memcg),
        ("unknown", by.unknown),
    ];
    let some = counts.into_iter().filter_map(|(name, count)| {
        let count = count.filter(|count| *count > 0)?;
        Some(format!("{name} {}", size::grouped(count)))
    });
    let mut words: Vec<String> = some.collect();
    if words.is_empty() {
        words.push(ABSENT.to_owned());
    }
    if let Some(stall) = &victim.stall_percentiles {
        words.push(format!("longest prune {}", size::nanos(stall.max_ns)));
    }
    words.join(", ")
}

fn holds(holder: &Holder) -> Vec<String> {
    let share = holder
        .share
        .map_or_else(|| ABSENT.to_owned(), size::percent);
    let mut said = vec![format!(
        "holds {} ({share} of what was found) in {}: receive {}, send {}, reserve {}, unread {}",
        size::bytes(holder.held_bytes),
        size::count(holder.sockets, "socket"),
        size::bytes(holder.receive_bytes),
        size::bytes(holder.send_bytes),
        size::bytes(holder.forward_bytes),
        size::bytes(holder.unread_bytes),
    )];
    let states: Vec<String> = holder
        .states
        .iter()
        .map(|state| {
            format!(
                "{} {} in {}",
                state.state,
                size::bytes(state.held_bytes),
                size::grouped(state.sockets)
            )
        })
        .collect();
    said.push(states.join(", "));
    for (sockets, bytes, what) in [
        (
            holder.unlisted_sockets,
            holder.unlisted_bytes,
            "in no table",
        ),
        (
            holder.not_accepted_sockets,
            holder.not_accepted_bytes,
            "not accepted",
        ),
    ] {
        if sockets > 0 {
            said.push(format!(
                "{} {what}: {}",
                size::count(sockets, "socket"),
                size::bytes(bytes)
            ));
        }
    }
    said
}

/// Two ends side by side.
fn ends(local: &str, remote: &str, end: usize) -> String {
    let [local, remote] = [local, remote].map(|it| text::clean(it, end));
    format!("{local:end$} {remote:end$}")
}

fn top_socket(socket: &TopSocket, end: usize) -> String {
    let local = socket.local.as_deref().unwrap_or(ABSENT);
    let ends = ends(local, socket.remote.as_deref().unwrap_or(ABSENT), end);
    format!(
        "{ends} {:11} {:>10} {:>10}",
        text::clean(&socket.state, 11),
        size::bytes(socket.held_bytes),
        size::bytes(socket.unread_bytes)
    )
}

/// Whose descriptor leads to it, and what else is known of it.
fn whose(socket: &TopSocket) -> Option<String> {
    let mut words = Vec::new();
    if let (Some(pid), Some(fd)) = (socket.pid, socket.fd) {
        let command = text::name(socket.command.as_deref().unwrap_or(ABSENT));
        words.push(format!("{command}[{pid}], descriptor {fd}"));
    }
    if let Some(ms) = socket.idle_ms {
        let idle = size::nanos(ms.saturating_mul(1_000_000));
        words.push(format!("nothing received for {idle}"));
    }
    if !socket.listed {
        words.push("in no table".to_owned());
    }
    (!words.is_empty()).then(|| format!("    {}", words.join(", ")))
}

fn suffered(socket: &VictimSocket, end: usize) -> String {
    let local = socket.local.as_deref().unwrap_or(ABSENT);
    let ends = ends(local, socket.remote.as_deref().unwrap_or(ABSENT), end);
    format!(
        "{ends} {:11} {:>10} {:>10}",
        socket.limit.name(),
        figures::count(socket.refusals),
        figures::count(socket.prunes)
    )
}
