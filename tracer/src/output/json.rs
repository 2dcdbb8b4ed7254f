//! JSON: one indented document, or one object a line. Characters that steer a terminal are written as
//! `\u` escapes, so that a document can be looked at; its values are the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter, PrettyFormatter},
};

use super::text;

/// An indented document with a line break at its end.
///
/// # Errors
/// When a value cannot be written as JSON; the model's can.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, PrettyFormatter::new())
}

/// One object on one line, with a line break at its end.
///
/// # Errors
/// When a value cannot be written as JSON; the model's can.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    write(value, CompactFormatter)
}

fn write(value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut out = Vec::new();
    value.serialize(&mut Serializer::with_formatter(
        &mut out,
        Visible(formatter),
    ))?;
    out.push(b'\n');
    String::from_utf8(out).map_err(|error| serde_json::Error::io(io::Error::other(error)))
}

/// Another formatter, whose strings show only visible characters.
struct Visible<F>(F);

/// Hands a call on to the wrapped formatter.
macro_rules! same {
    ($($name:ident($($arg:ident: $type:ty),*);)+) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $arg: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })+
    };
}

impl<F: Formatter> Formatter for Visible<F> {
    same! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        let mut bytes = [0; 4];
        for c in fragment.chars() {
            if text::is_hostile(c) {
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(c.encode_utf8(&mut bytes).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_values_are_visible_and_come_back_unchanged() {
        let evil = "a\x1b[2J\u{9b}\u{202e}\u{e0041}\"\\\n";
        let json = line(&evil).unwrap();
        assert!(!json.trim_end().chars().any(text::is_hostile), "{json}");
        assert!(
            json.contains("\\udb40\\udc41"),
            "UTF-16 pairs beyond the first plane: {json}"
        );
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), evil);
    }
}
