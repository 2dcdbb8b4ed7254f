//! Frames of golden reports, and what keys change. Figures that are expected come from the reports, by arithmetic.

use jiff::SignedDuration;
use ratatui::{
    Terminal, backend::TestBackend, buffer::Buffer, layout::Rect, style::Color, widgets::Widget,
};

use super::{Key, State, Then, View};
use crate::{
    output::{size, text::is_hostile},
    report::{Report, tests::golden},
};

const REPORTS: [(&str, &str); 5] = [
    (
        "incident",
        include_str!("../../../tests/golden/incident.json"),
    ),
    ("memcg", include_str!("../../../tests/golden/memcg.json")),
    ("quiet", include_str!("../../../tests/golden/quiet.json")),
    ("no-bpf", include_str!("../../../tests/golden/no-bpf.json")),
    (
        "hostile",
        include_str!("../../../tests/golden/hostile.json"),
    ),
];
const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn report(name: &str) -> Report {
    let (_, text) = REPORTS.iter().find(|(known, _)| *known == name).unwrap();
    serde_json::from_str(text).unwrap()
}

/// The window after it, with the same figures.
fn next(report: &Report) -> Report {
    let mut next = report.clone();
    let length = SignedDuration::from_nanos(i64::try_from(report.window.duration_ns).unwrap());
    next.window.start += length;
    next.window.end += length;
    for at in [
        &mut next.tcp_memory.found_at,
        &mut next.tcp_memory.growth_since,
    ] {
        *at = at.map(|at| at + length);
    }
    next
}

fn state(name: &str) -> State {
    let mut state = State::default();
    state.take(report(name));
    state
}

fn frame(state: &State) -> String {
    View::plain(state, 80, 24)
}

fn press(state: &mut State, keys: &str) {
    for key in keys.chars() {
        assert_eq!(state.press(Key::Char(key)), Then::GoOn, "{key}");
    }
}

/// Names of owners in the order of the table.
fn names(state: &State) -> Vec<String> {
    let lines = state.lines();
    lines.iter().map(|line| line.owner.name.clone()).collect()
}

#[test]
fn frames_are_as_they_were() {
    for (name, _) in REPORTS {
        for (width, height) in SIZES {
            let plain = View::plain(&state(name), width, height);
            let file = format!("top/{name}.{width}x{height}.txt");
            golden::compare(&file, &plain);
        }
        let mut state = state(name);
        state.press(Key::Enter);
        golden::compare(&format!("top/{name}.sockets.txt"), &frame(&state));
        press(&mut state, "v");
        golden::compare(&format!("top/{name}.verdict.txt"), &frame(&state));
    }
    let mut state = state("quiet");
    press(&mut state, "?");
    golden::compare("top/help.txt", &frame(&state));
}

#[test]
fn a_terminal_shows_what_is_printed() {
    for (width, height) in SIZES {
        let state = state("incident");
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let draw = |frame: &mut ratatui::Frame<'_>| {
            frame.render_widget(View::new(&state, true), frame.area());
        };
        terminal.draw(draw).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = (0..height).map(|row| {
            let cells = (0..width).map(|column| buffer.cell((column, row)).unwrap().symbol());
            cells.collect::<String>().trim_end().to_owned()
        });
        let rows: Vec<String> = rows.collect();
        let plain = View::plain(&state, width, height);
        assert_eq!(rows, plain.lines().collect::<Vec<_>>());
    }
}

#[test]
fn no_screen_is_too_small_and_no_name_steers_it() {
    for (name, _) in REPORTS {
        for keys in ["", "?", "/", "t", "v"] {
            let mut state = state(name);
            press(&mut state, keys);
            for enter in [false, true] {
                if enter {
                    state.press(Key::Enter);
                }
                for (width, height) in [(0, 0), (1, 1), (7, 3), (40, 9), (80, 24), (500, 200)] {
                    let frame = View::plain(&state, width, height);
                    assert_eq!(frame.lines().count(), usize::from(height));
                    let shown: Vec<char> = frame.chars().filter(|c| *c != '\n').collect();
                    assert!(!shown.iter().any(|c| is_hostile(*c)), "{name}: {frame}");
                }
            }
        }
    }
}

#[test]
fn where_no_colour_is_wanted_there_is_none() {
    let area = Rect::new(0, 0, 80, 24);
    for colour in [false, true] {
        let mut buffer = Buffer::empty(area);
        View::new(&state("incident"), colour).render(area, &mut buffer);
        let mut cells = buffer.content.iter();
        let plain = cells.all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset);
        assert_eq!(plain, !colour);
    }
}

#[test]
fn windows_add_up_and_rates_are_of_the_last() {
    let first = report("incident");
    let seconds = first.window.duration_ns / 1_000_000_000;
    let mut state = State::default();
    state.take(first.clone());
    state.take(next(&first));
    for victim in &first.victims {
        let lines = state.lines();
        let mut lines = lines.iter();
        let line = lines
            .find(|line| line.owner.name == victim.owner.name)
            .unwrap();
        assert_eq!(line.now.refused, victim.refused());
        assert_eq!(line.total.refused, 2 * victim.refused());
        assert_eq!(line.total.prunes, victim.prunes.map(|prunes| 2 * prunes));
        assert_eq!(line.total.stall_ns, victim.stall_ns.map(|ns| 2 * ns));
    }
    let all: u64 = first.victims.iter().map(|it| it.refused()).sum();
    assert_eq!(state.shown().owners.total.refused, 2 * all);
    let worst = &first.victims[0];
    let row = |frame: &str| {
        let of = |line: &&str| line.contains(&worst.owner.name) && line.contains("MiB");
        frame.lines().rfind(of).unwrap().to_owned()
    };
    let rate = worst.refused() / seconds;
    assert!(
        row(&frame(&state)).contains(&format!(" {rate} ")),
        "{rate}: {}",
        frame(&state)
    );
    press(&mut state, "t");
    let total = size::grouped(2 * worst.refused());
    assert!(
        row(&frame(&state)).contains(&format!(" {total} ")),
        "{total}: {}",
        frame(&state)
    );
}

#[test]
fn growth_is_that_of_the_last_two_readings_of_sockets() {
    let first = report("incident");
    let holder = first
        .holders
        .iter()
        .max_by_key(|it| it.growth_bytes)
        .unwrap();
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let want = holder.growth_bytes.unwrap() as f64 / 10.0;
    let mut state = State::default();
    state.take(first.clone());
    let growth = |state: &State| {
        let lines = state.lines();
        let mut lines = lines.iter();
        lines
            .find(|it| it.owner.name == holder.owner.name)
            .unwrap()
            .growth
    };
    assert_eq!(growth(&state), Some(want));
    // A window in which they were not read again knows none: the last one stands, and the frame says how old it is.
    let mut later = next(&first);
    later.tcp_memory.found_at = first.tcp_memory.found_at;
    later.tcp_memory.growth_since = None;
    later
        .holders
        .iter_mut()
        .for_each(|it| it.growth_bytes = None);
    state.take(later);
    assert_eq!(growth(&state), Some(want));
    assert!(
        frame(&state).contains("sockets read 10 s before"),
        "{}",
        frame(&state)
    );
}

#[test]
fn a_snapshot_is_no_window() {
    let mut snapshot = report("quiet");
    snapshot.window.duration_ns = 0;
    let mut state = State::default();
    state.say("attaching probes");
    state.take(snapshot);
    let shown = frame(&state);
    assert!(shown.contains("attaching probes"), "{shown}");
    state.take(report("quiet"));
    assert!(!frame(&state).contains("attaching probes"));
}

#[test]
fn owners_are_ordered_by_what_is_asked_for() {
    let mut state = state("incident");
    let report = report("incident");
    let by_refusals: Vec<&str> = report
        .victims
        .iter()
        .map(|it| it.owner.name.as_str())
        .collect();
    let shown = names(&state);
    assert_eq!(shown[..by_refusals.len()], by_refusals);
    press(&mut state, "sss");
    let by_held: Vec<&str> = report
        .holders
        .iter()
        .map(|it| it.owner.name.as_str())
        .collect();
    assert_eq!(names(&state)[..by_held.len()], by_held);
    press(&mut state, "r");
    let mut reversed = names(&state);
    press(&mut state, "r");
    reversed.reverse();
    assert_eq!(reversed[..by_held.len()], by_held);
    press(&mut state, "ss");
    assert!(names(&state).is_sorted());
    // Round to the first, and back from there.
    press(&mut state, "s");
    assert_eq!(names(&state), shown);
    press(&mut state, "S");
    assert!(names(&state).is_sorted());
}

#[test]
fn the_filter_narrows_what_is_shown_and_nothing_else() {
    let mut state = state("incident");
    let all = names(&state);
    let verdict: Vec<String> = frame(&state).lines().take(9).map(str::to_owned).collect();
    press(&mut state, "/REDIS");
    assert_eq!(names(&state), ["cache/redis-0"]);
    assert!(frame(&state).contains("/REDIS_"), "{}", frame(&state));
    state.press(Key::Backspace);
    // Every key is a letter here.
    press(&mut state, "q");
    assert_eq!(names(&state), Vec::<String>::new());
    assert_eq!(state.press(Key::Enter), Then::GoOn);
    // There is nobody to look into.
    state.press(Key::Enter);
    assert!(frame(&state).contains(&format!("0 of {} owners", all.len())));
    let now: Vec<String> = frame(&state).lines().take(9).map(str::to_owned).collect();
    assert_eq!(now, verdict);
    state.press(Key::Escape);
    assert_eq!(names(&state), all);
}

#[test]
fn sockets_of_the_selected_owner_are_shown() {
    let report = report("incident");
    let mut state = state("incident");
    let names = names(&state);
    state.press(Key::Down);
    state.press(Key::Down);
    state.press(Key::Up);
    state.press(Key::Enter);
    let shown = frame(&state);
    assert!(shown.contains(&names[1]), "{shown}");
    let holder = report.holders.iter().find(|it| it.owner.name == names[1]);
    for socket in holder.iter().flat_map(|it| &it.top_sockets) {
        let local = socket.local.as_ref().unwrap();
        assert!(shown.contains(local), "{local}: {shown}");
    }
    let victim = report.victims.iter().find(|it| it.owner.name == names[1]);
    for socket in victim.iter().flat_map(|it| &it.sockets) {
        let remote = socket.remote.as_ref().unwrap();
        assert!(shown.contains(remote), "{remote}: {shown}");
    }
    // It stays the same one whatever others do.
    let mut later = next(&report);
    later.victims.reverse();
    later.holders.reverse();
    state.take(later);
    assert!(frame(&state).contains(&names[1]));
    state.press(Key::End);
    let end = frame(&state);
    state.press(Key::Up);
    assert_ne!(frame(&state), end, "one line up is seen at once");
    state.press(Key::Escape);
    assert_eq!(state.selected_of(&state.lines()), Some(1));
}

#[test]
fn one_that_is_gone_is_not_shown_as_if_it_were_there() {
    let mut state = state("incident");
    let last = names(&state).len() - 1;
    state.press(Key::End);
    assert_eq!(state.selected_of(&state.lines()), Some(last));
    state.take(report("quiet"));
    let left = state.lines();
    assert!(state.selected_of(&left) < Some(left.len()));
}

#[test]
fn a_paused_screen_stands_still_and_counting_goes_on() {
    let first = report("incident");
    let mut state = state("incident");
    press(&mut state, " ");
    let paused = frame(&state);
    assert!(paused.contains("PAUSED"), "{paused}");
    state.take(next(&first));
    assert_eq!(frame(&state), paused);
    // It can be looked at all the same.
    press(&mut state, "t");
    assert_ne!(frame(&state), paused);
    press(&mut state, "p");
    let all: u64 = first.victims.iter().map(|it| it.refused()).sum();
    assert_eq!(state.shown().owners.total.refused, 2 * all);
    assert!(!frame(&state).contains("PAUSED"));
}

#[test]
fn help_leads_back_to_where_it_was_asked_for() {
    let mut state = state("incident");
    state.press(Key::Enter);
    let sockets = frame(&state);
    press(&mut state, "?");
    assert!(frame(&state).contains("Ctrl-C"));
    press(&mut state, "v");
    assert!(frame(&state).contains("\nVERDICT\n"));
    state.press(Key::Escape);
    assert_eq!(frame(&state), sockets);
    press(&mut state, "vv");
    assert_eq!(frame(&state), sockets);
    assert_eq!(state.press(Key::Char('q')), Then::Quit);
    press(&mut state, "?");
    assert_eq!(state.press(Key::Interrupt), Then::Quit);
}

#[test]
fn the_last_minutes_are_drawn() {
    let mut report = report("incident");
    let mut state = State::default();
    for fill in [Some(0.0), None, Some(0.5), Some(1.0)] {
        report.tcp_memory.fill = fill;
        state.take(report.clone());
        report = next(&report);
    }
    let shown = frame(&state);
    assert!(shown.contains("fill in 30 s"), "{shown}");
    assert!(shown.contains("peak 100.0 %"), "{shown}");
    // Two lines high: half of the limit fills the lower one.
    let minutes = shown.lines().find(|line| line.starts_with("peak")).unwrap();
    assert!(minutes.ends_with("  ██"), "{shown}");
}
