//! Makes foreign strings safe to show. Names of pods, processes and cgroups are chosen by others; what
//! reaches a terminal must be one line of visible characters that cannot move the cursor or turn the text.

/// Longest name in a sentence, in characters.
pub const NAME_MAX: usize = 100;

/// One line of visible characters, at most `max` of them; what was cut is marked by an ellipsis.
/// Control characters, line breaks, and characters that are invisible or change the direction of text
/// are written as escapes.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut width = 0;
    for c in text.chars() {
        let piece = if is_hostile(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        };
        width += piece.chars().count();
        line.push_str(&piece);
        // One more than fits is enough to know that it must be cut.
        if width > max {
            break;
        }
    }
    cut(&line, max)
}

/// The first `max` characters, the last of them an ellipsis if there were more.
fn cut(line: &str, max: usize) -> String {
    if line.chars().count() <= max {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(max.saturating_sub(1)).collect();
    if max > 0 {
        short.push('…');
    }
    short
}

/// A name within a sentence.
#[must_use]
pub fn name(text: &str) -> String {
    clean(text, NAME_MAX)
}

/// Whether a character may steer a terminal or hide itself: C0 and C1 controls, line and paragraph
/// separators, direction marks (Unicode UAX 9), zero-width and other format characters, tags, noncharacters.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'..='\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Safe text in lines of at most `width` characters, broken between words where that is possible.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let safe = clean(text, usize::MAX);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in safe.split(' ').filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while rest.len() > width {
            let tail = rest.split_off(width);
            lines.push(rest.into_iter().collect());
            rest = tail;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        used += rest.len();
        line.extend(rest);
    }
    if used > 0 {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_is_left() {
        let evil = "a\x1b[2J\u{9b}31m\nb\r\t\u{202e}cod\u{2066}\u{200b}\u{7f}\0\u{2028}\u{e0041}";
        let safe = clean(evil, 1000);
        assert!(!safe.chars().any(is_hostile), "{safe}");
        assert!(
            safe.starts_with("a\\u{1b}[2J\\u{9b}31m\\nb\\r\\t\\u{202e}cod"),
            "{safe}"
        );
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in [
            "shop/redis-0",
            "dev-disk-by\\x2duuid.mount",
            "привет",
            "数据",
        ] {
            assert_eq!(clean(name, 100), name);
        }
    }

    #[test]
    fn long_names_are_cut_and_marked() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("abc", 0), "");
        assert_eq!(clean(&"\n".repeat(1 << 20), 5), "\\n\\n…");
    }

    #[test]
    fn wraps_between_words_and_breaks_what_is_longer_than_a_line() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("ab abcdefghij k", 4), ["ab", "abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 10), Vec::<String>::new());
    }
}
