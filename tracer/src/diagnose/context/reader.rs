//! Which state explains that a reader does not read.

use super::{channel, cpu, looked};
use crate::sums::SaturatingSum as _;
use crate::{
    output::size,
    report::{
        Context,
        context::{Reader, Ruling, Threads, Wait},
    },
};

/// The deeper cause goes first: reclaim makes threads wait for disks and burn CPU time, a slow disk and a throttled holder make
/// others wait for a lock.
pub(super) fn rule(context: &Context) -> (Option<Reader>, String) {
    let Some(left) = context.left_unread_bytes else {
        return (None, "whether it reads is not known".to_owned());
    };
    if left == 0 {
        return (None, "it reads what arrives".to_owned());
    }
    let unread = size::bytes(left);
    let confirmed = |finding: Ruling| finding == Ruling::Confirmed;
    if let Some(how) = idle(&context.threads) {
        let words = format!("it leaves {unread} unread and does not ask for them: {how}");
        return (Some(Reader::Idle), words);
    }
    let cpu_figures = &context.cpu.figures;
    let causes = [
        (
            confirmed(context.memory.finding),
            Reader::Memory,
            &context.memory.words,
        ),
        (confirmed(context.io.finding), Reader::Io, &context.io.words),
        (cpu::starved(cpu_figures), Reader::Cpu, &context.cpu.words),
        (
            confirmed(context.locks.finding),
            Reader::Locks,
            &context.locks.words,
        ),
        (cpu::busy(cpu_figures), Reader::Cpu, &context.cpu.words),
    ];
    for (holds, reader, words) in causes {
        if holds {
            return (
                Some(reader),
                format!("it leaves {unread} unread and {words}"),
            );
        }
    }
    let words = format!("it leaves {unread} unread, and the figures do not tell why");
    (Some(Reader::Unknown), words)
}

/// How its threads show that nothing keeps them from reading: each sleeps, is stopped, or waits to be told of something that is
/// not this data. Workers that wait on futexes, and threads that wait for those, are left out: they serve others.
fn idle(threads: &Threads) -> Option<String> {
    if !looked(threads) {
        return None;
    }
    let aside = [Wait::Futex, Wait::Join].map(|kind| threads.mostly(kind));
    let free = [Wait::Stopped, Wait::Sleep, Wait::Receive].map(|kind| (kind, threads.mostly(kind)));
    let number: u64 = free.iter().map(|(_, number)| number).saturating_sum();
    if number == 0 || number.saturating_add(aside.iter().saturating_sum()) != threads.threads {
        return None;
    }
    let say = |(kind, number): (Wait, u64)| {
        let how = match kind {
            Wait::Stopped => "stopped",
            Wait::Sleep => "asleep",
            _ => "waiting for something else to arrive",
        };
        (number > 0).then(|| format!("{number} {how}{}", channel(threads, kind)))
    };
    let said: Vec<String> = free.into_iter().filter_map(say).collect();
    Some(format!(
        "of {}, {}",
        size::count(threads.threads, "thread"),
        said.join(", ")
    ))
}
