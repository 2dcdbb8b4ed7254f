//! TCP memory of the node against the marks of `tcp_mem`, now and in the last minutes.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    symbols::bar,
    text::{Line, Span},
    widgets::{Paragraph, Sparkline, Widget},
};

use super::{View, figures::ABSENT};
use crate::{
    output::size,
    report::{TcpMemBytes, TcpMemory},
    top::history::History,
};

/// Lines of the account.
pub(super) const HEIGHT: u16 = 3;
/// Lines of the last minutes.
pub(super) const LAST_MINUTES: u16 = 2;
/// Columns of the words beside them.
const LABEL: u16 = 17;

/// The account in words, as a bar with the marks in it, and the marks in words.
pub(super) fn account(view: &View<'_>, memory: &TcpMemory, area: Rect, buffer: &mut Buffer) {
    let [words, gauge, marks] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let bytes = |value: Option<u64>| value.map_or_else(|| ABSENT.to_owned(), size::bytes);
    let count = |value: Option<u64>, thing: &str| match value {
        Some(number) => size::count(number, thing),
        None => format!("{ABSENT} {thing}s"),
    };
    let fill = memory.fill.map_or_else(|| ABSENT.to_owned(), size::percent);
    let pressure = match memory.pressure {
        Some(true) => "under pressure",
        Some(false) => "no pressure",
        None => "pressure not known",
    };
    let line = format!(
        "TCP memory {} ({fill}), {pressure}; {}, {}",
        bytes(memory.allocated_bytes),
        count(memory.sockets, "socket"),
        count(memory.orphans, "orphan"),
    );
    Line::raw(line).render(words, buffer);
    let Some(tcp_mem) = memory.tcp_mem_bytes else {
        Line::raw("the marks of net.ipv4.tcp_mem are not known").render(gauge, buffer);
        return;
    };
    bar_of(view, memory.allocated_bytes, tcp_mem, gauge.width).render(gauge, buffer);
    let line = format!(
        "marks: low {}, pressure {}, high {}",
        size::bytes(tcp_mem.low),
        size::bytes(tcp_mem.pressure),
        size::bytes(tcp_mem.max)
    );
    Line::raw(line).render(marks, buffer);
}

/// A bar from nothing to the high mark, or to what is allocated if that is more.
fn bar_of(
    view: &View<'_>,
    allocated: Option<u64>,
    marks: TcpMemBytes,
    width: u16,
) -> Line<'static> {
    let TcpMemBytes { low, pressure, max } = marks;
    let width = u64::from(width);
    let full = max.max(allocated.unwrap_or(0)).max(1);
    let place = |bytes: u64| {
        let place = u128::from(bytes) * u128::from(width) / u128::from(full);
        u64::try_from(place).unwrap_or(u64::MAX)
    };
    let filled = allocated.map_or(0, |bytes| match (place(bytes), bytes) {
        // A little is not nothing.
        (0, 1..) => 1,
        (place, _) => place,
    });
    let color = match allocated {
        Some(bytes) if bytes > max => Color::Red,
        Some(bytes) if bytes > pressure => Color::Yellow,
        _ => Color::Green,
    };
    let marks = [low, pressure, max].map(|mark| place(mark).min(width.saturating_sub(1)));
    let cell = |at: u64| {
        if marks.contains(&at) {
            return Span::styled("|", Style::new().add_modifier(Modifier::BOLD));
        }
        match at < filled {
            true => Span::styled("█", view.fg(color)),
            false => Span::raw("·"),
        }
    };
    Line::from((0..width).map(cell).collect::<Vec<_>>())
}

/// Fill in the last minutes, one column a window.
pub(super) fn last_minutes(view: &View<'_>, history: &History, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let [label, line] =
        Layout::horizontal([Constraint::Length(LABEL), Constraint::Fill(1)]).areas(area);
    let columns = usize::from(line.width);
    let fills = history.last(columns);
    let most = fills.iter().flatten().copied().max();
    let peak = history.peak(columns);
    let peak = peak.map_or_else(|| ABSENT.to_owned(), size::percent);
    let words = [
        match history.span(columns) {
            0 => "fill".to_owned(),
            seconds => format!("fill in {}", span(seconds)),
        },
        format!("peak {peak}"),
    ];
    Paragraph::new(words.map(Line::from).to_vec()).render(label, buffer);
    Sparkline::default()
        .data(fills)
        .max(most.unwrap_or(0).max(1000))
        .bar_set(bar::NINE_LEVELS)
        .absent_value_symbol(' ')
        .style(view.fg(Color::Cyan))
        .render(line, buffer);
}

/// A time in minutes and seconds.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
