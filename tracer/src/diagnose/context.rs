//! Rulings on the five states that keep a reader from reading, and which of them explains that it does not. Pure.
//!
//! Figures of a cgroup tell what its tasks suffered, samples of threads what the reading processes did: where both are there, the
//! threads decide who waits, because a neighbour in the same pod may be stalled while the reader has nothing to wait for.

mod cpu;
mod io;
mod locks;
mod memory;
mod network;
mod reader;

#[cfg(test)]
mod tests;

use crate::{
    output::{size, text},
    report::{
        Context,
        context::{Psi, Ruling, Threads, Wait},
    },
};

/// Part of the window in which something must keep a task from working to be called a reason: a reader that has nine tenths of
/// the time left empties its queue.
pub const STALLED: f64 = 0.10;
/// Part of the enforcement periods in which the quota must run out. In a throttled period the rest of it, up to a tenth of a
/// second, is lost, so fewer cost less than [`STALLED`].
pub const THROTTLED: f64 = 0.10;
/// Part of the window that one thread must run to be called busy; the tenth that lacks is what looking at it may miss.
pub const BUSY: f64 = 0.90;
/// Times that threads must have been looked at: fewer are chance.
pub const MIN_ROUNDS: u64 = 3;
/// Segments that must have moved before a share of them means anything.
pub const MIN_SEGMENTS: u64 = 100;
/// Retransmits that must have been made: a peer that vanished causes some on its own.
pub const MIN_RETRANSMITS: u64 = 20;
/// Retransmits over segments sent from which on the window of standard TCP is small: `1.2 / sqrt(loss)` segments a round trip
/// (RFC 3649), twelve at one in a hundred, about 1.4 Mbit/s on a path of 100 ms.
pub const LOSS: f64 = 0.01;
/// Segments out of order over segments received. Each lost one makes what follows it within a window, tens of segments, late; a
/// twentieth is loss of a few in a thousand, or a path that reorders.
pub const DISORDER: f64 = 0.05;

/// A ruling with its words.
type Ruled = (Ruling, String);

/// Rules on each state, and on why the reader does not read, by the figures of a context.
///
/// ```
/// use tracer::{diagnose::context, report::{Context, context::{Cpu, Ruling}}};
///
/// let mut figures = Context::default();
/// figures.cpu.figures = Cpu { periods: Some(100), throttled_periods: Some(83), ..Cpu::default() };
/// let ruled = context::judge(figures);
/// assert_eq!(ruled.cpu.finding, Ruling::Confirmed);
/// assert_eq!(ruled.io.finding, Ruling::NotKnown);
/// ```
#[must_use]
pub fn judge(mut context: Context) -> Context {
    let threads = &context.threads;
    let io = io::rule(&context.io.figures, threads);
    let cpu = cpu::rule(&context.cpu.figures);
    let locks = locks::rule(&context.locks.figures, threads);
    let memory = memory::rule(&context.memory.figures, threads);
    let network = network::rule(&context.network.figures, threads);
    (context.io.finding, context.io.words) = io;
    (context.cpu.finding, context.cpu.words) = cpu;
    (context.locks.finding, context.locks.words) = locks;
    (context.memory.finding, context.memory.words) = memory;
    (context.network.finding, context.network.words) = network;
    (context.reader, context.reader_words) = reader::rule(&context);
    context
}

/// Whether threads were looked at often enough.
fn looked(threads: &Threads) -> bool {
    threads.rounds >= MIN_ROUNDS && threads.samples > 0
}

/// Whether a thread waits for something most of the time while none waits to receive: then it may well be the reader.
fn held_up(threads: &Threads, kind: Wait) -> bool {
    looked(threads) && threads.mostly(kind) > 0 && threads.mostly(Wait::Receive) == 0
}

/// The pressure to judge by, and in words whose it is. What some task of a cgroup suffers, some task of the node suffers: where
/// nothing is known of the cgroup, a node that is not stalled rules it out all the same.
fn stalled(own: Option<&Psi>, node: Option<&Psi>) -> Option<(f64, String)> {
    let own = own.and_then(Psi::some);
    if let Some(share) = own {
        return Some((
            share,
            format!("stalled {} of the time", size::percent(share)),
        ));
    }
    let share = node.and_then(Psi::some).filter(|share| *share < STALLED)?;
    let words = format!(
        "the whole node is stalled {} of the time",
        size::percent(share)
    );
    Some((share, words))
}

/// Threads that mostly did one thing, of all: `1 of 3 threads`.
fn of_threads(number: u64, threads: &Threads) -> String {
    format!("{number} of {}", size::count(threads.threads, "thread"))
}

/// Where threads mostly did one thing: ` (futex_wait_queue)`.
fn channel(threads: &Threads, kind: Wait) -> String {
    let mut of_kind = threads.waits.iter().filter(|wait| wait.kind == kind);
    let channel = of_kind.find_map(|wait| wait.wait_channel.as_deref());
    channel.map_or_else(String::new, |name| format!(" ({})", text::name(name)))
}

/// The words of a ruling: `waits for CPU: …`, `not CPU: …`. What is ruled out needs one figure only, the first.
fn say(finding: Ruling, what: &str, figures: &[String]) -> Ruled {
    let figures = match (figures, finding) {
        ([], _) => "it could not be read".to_owned(),
        ([first, ..], Ruling::RuledOut) => first.clone(),
        (all, _) => all.join(", "),
    };
    let words = match finding {
        Ruling::Confirmed => format!("waits for {what}: {figures}"),
        Ruling::RuledOut => format!("not {what}: {figures}"),
        Ruling::NotKnown => format!("{what} not known: {figures}"),
    };
    (finding, words)
}
