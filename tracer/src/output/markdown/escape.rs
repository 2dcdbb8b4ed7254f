//! Text that Markdown shows as it was given. Names are chosen by others: one may hold markup, or a word that GitHub or GitLab makes a
//! link or a call of, such as `@team` or `#1`. Those are looked for in what was rendered, so that no escape helps against them; in code
//! they are left alone. So a word that is not plain beyond doubt is shown as code.

use crate::output::{text, words::ABSENT};

/// Longest name, in characters.
const MAX_NAME: usize = 100;

/// Prose of at most `max` characters (what is cut ends in an ellipsis), in one line. What stands between backticks in it is code.
pub(super) fn prose(sentence: &str, max: usize) -> String {
    let safe = text::clean(sentence, max);
    let parts: Vec<&str> = safe.split('`').collect();
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        let between = at % 2 == 1;
        let closed = at + 1 < parts.len();
        if between && closed && !part.trim().is_empty() {
            push(&mut out, &code(part));
        } else if between {
            let close = if closed { "`" } else { "" };
            words(&mut out, &format!("`{part}{close}"));
        } else {
            words(&mut out, part);
        }
    }
    out.trim_end().to_owned()
}

/// Adds words, with a space where there is one at an end.
fn words(out: &mut String, part: &str) {
    let space = |out: &mut String| {
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    };
    for (at, word) in part.split(' ').enumerate() {
        if at > 0 {
            space(out);
        }
        if !word.is_empty() {
            let word = shown(word, out.is_empty());
            push(out, &word);
        }
    }
}

/// Adds a word or code. Two spans of code that touch would be read as one, or as other ones.
fn push(out: &mut String, piece: &str) {
    if out.ends_with('`') && piece.starts_with('`') {
        out.push(' ');
    }
    out.push_str(piece);
}

/// A name as code.
pub(super) fn name(name: &str) -> String {
    code(&text::clean(name, MAX_NAME))
}

/// A block of code, whatever backticks are in it. `info` is the language.
pub(super) fn block(indent: &str, info: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let mut out = format!("{indent}{fence}{info}\n");
    for line in text.lines() {
        out.push_str(format!("{indent}{line}").trim_end());
        out.push('\n');
    }
    out.push_str(&format!("{indent}{fence}\n"));
    out
}

/// A word of prose; `first` where a line begins with it.
fn shown(word: &str, first: bool) -> String {
    let opened = word.len() - word.trim_start_matches('(').len();
    let (head, rest) = word.split_at(opened);
    let core = rest.trim_end_matches([',', '.', ';', ':', ')']);
    let tail = &rest[core.len()..];
    // `1.` and `1)` begin a list.
    let list = first && !tail.is_empty() && core.chars().all(|c| c.is_ascii_digit());
    if list || (first && core.is_empty()) {
        code(word)
    } else if is_plain(core) {
        word.to_owned()
    } else {
        format!("{head}{}{tail}", code(core))
    }
}

/// Whether nothing makes anything but a word of it: neither Markdown, nor what finds links and references in words.
fn is_plain(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let around = |at: usize| {
        (
            at.checked_sub(1).and_then(|at| chars.get(at)),
            chars.get(at + 1),
        )
    };
    let is_digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
    let is_inner = |at: usize| {
        let (before, after) = around(at);
        before.is_some_and(|c| c.is_alphanumeric()) && after.is_some_and(|c| c.is_alphanumeric())
    };
    let all = chars.iter().enumerate().all(|(at, c)| match c {
        c if c.is_alphanumeric() => true,
        // Numbers: 1.5, 1,000, +2.6, 98%.
        '.' | ',' => is_digit(around(at).0) && is_digit(around(at).1),
        '+' => at == 0 && is_digit(around(at).1),
        '%' => at + 1 == chars.len(),
        '/' | '\'' => is_inner(at),
        // Not the keys of tickets: AB-1.
        '-' => is_inner(at) && !is_digit(around(at).1),
        // Dashes, arrows and the ellipsis.
        c => !c.is_ascii(),
    });
    // Commits are found by their hash.
    let is_hash = chars.len() >= 7 && chars.iter().all(char::is_ascii_hexdigit);
    all && !is_hash
}

/// A code span. The pipe, at which some parsers of tables split even code, is written as an escape.
fn code(text: &str) -> String {
    if text.trim().is_empty() {
        return ABSENT.to_owned();
    }
    let text = text.replace('|', "\\u{7c}");
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`');
    runs.map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_prose_stays_as_it_is() {
        for sentence in [
            "refused 2815 segments in 10.0 s, over its hard limit;",
            "holds 45.2 MiB, 94.1 % of the memory (380 of 400 in CLOSE-WAIT: a leak, …); +22.6 MiB",
            "the kernel's own figure – 1,200 pages → less",
            "shop/leaky suffers",
        ] {
            assert_eq!(prose(sentence, 1_000), sentence);
        }
    }

    #[test]
    fn words_that_could_be_more_than_words_are_code() {
        for (word, shown) in [
            ("@team", "`@team`"),
            ("(#1),", "(`#1`),"),
            ("tcp_mem:", "`tcp_mem`:"),
            ("evil.example", "`evil.example`"),
            ("http://evil.example", "`http://evil.example`"),
            ("AB-12", "`AB-12`"),
            ("deadbeef", "`deadbeef`"),
            ("**bold**", "`**bold**`"),
            ("<script>", "`<script>`"),
            ("&amp;", "`&amp`;"),
            ("a|b", "`a\\u{7c}b`"),
            ("`x", "`` `x ``"),
            ("a``b", "a``` `` ```b"),
            ("a`@b`c", "a`@b`c"),
            ("with `ss -K`.", "with `ss -K`."),
            ("`a``b` `", "`a` `b` `` ` ``"),
            ("!12", "`!12`"),
            ("/close", "`/close`"),
            ("1.", "`1.`"),
            ("-", "`-`"),
            ("---", "`---`"),
            (":smile:", "`:smile`:"),
            ("a\nb", "`a\\nb`"),
        ] {
            assert_eq!(prose(word, 1_000), shown);
        }
        assert_eq!(
            prose("is 1. or 2)", 1_000),
            "is 1. or 2)",
            "only a line's first word makes a list"
        );
    }

    #[test]
    fn fences_are_longer_than_what_is_in_them() {
        assert_eq!(block("", "sh", "ls"), "```sh\nls\n```\n");
        assert_eq!(
            block("  ", "", "a ```` b"),
            "  `````\n  a ```` b\n  `````\n"
        );
        assert_eq!(name(""), ABSENT);
        assert_eq!(name(&"x".repeat(200)).chars().count(), MAX_NAME + 2);
    }
}
