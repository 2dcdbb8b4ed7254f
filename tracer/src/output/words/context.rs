//! Why an owner does not read, in the lines under it.

use crate::{
    output::size,
    report::{Context, context::Reader},
};

/// The reason where there is one, and the five rulings.
pub(in crate::output) fn sentence(context: &Context) -> String {
    let reader = context.reader.map(|reader| match reader {
        Reader::Unknown => format!("reader: {}", context.reader_words),
        _ => format!("reader {}: {}", reader.name(), context.reader_words),
    });
    let rulings = [
        &context.io.words,
        &context.cpu.words,
        &context.locks.words,
        &context.memory.words,
        &context.network.words,
    ];
    // What explains the reader has been said.
    let said = |words: &&String| !context.reader_words.contains(words.as_str());
    let rulings = rulings.into_iter().filter(said).cloned();
    let mut lines: Vec<String> = reader.into_iter().chain(rulings).collect();
    if let Some(covers) = context.covers_ns {
        lines.push(format!("over {}", size::nanos(covers)));
    }
    lines.join("; ")
}
