//! Where the value of a key goes, and what may stand there.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use toml::de::DeValue;

use super::units;
use crate::{cli, export::Address};

/// Longest path: a unix socket takes no more than 107 bytes, and of a file nobody wants more.
const MAX_PATH: usize = 4095;
/// Longest path of a unix socket (`sun_path`, unix(7)), less what a name for a moment adds.
const MAX_SOCKET_PATH: usize = 100;
/// Longest word.
const MAX_TEXT: usize = 255;

/// The place of one value.
pub(super) enum Slot<'a> {
    /// `true` or `false`.
    Flag(&'a mut bool),
    /// A time within bounds; zero as well, where the last says so.
    Time(&'a mut Duration, RangeInclusive<Duration>, OrOff),
    /// Bytes within bounds; zero as well, where the last says so.
    Size(&'a mut u64, RangeInclusive<u64>, OrOff),
    /// Bytes within bounds, or `"auto"`.
    SizeOrAuto(&'a mut Option<u64>, RangeInclusive<u64>),
    /// A whole number within bounds.
    Count(&'a mut u64, RangeInclusive<u64>),
    /// A number within bounds; zero as well, where the last says so.
    Number(&'a mut f64, RangeInclusive<f64>, OrOff),
    /// An absolute path, or `""`.
    Path(&'a mut Option<PathBuf>),
    /// The same, short enough for a unix socket.
    SocketPath(&'a mut Option<PathBuf>),
    /// An address with its port, or `""`.
    Listen(&'a mut Option<SocketAddr>),
    /// A URL, or `""`.
    Url(&'a mut Option<Address>),
    /// A short text.
    Text(&'a mut String),
    /// One of a few words.
    Word(&'a mut dyn Word),
}

/// Whether zero stands for "never", outside the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrOff {
    /// It does.
    Zero,
    /// It does not.
    No,
}

/// One of a few words.
pub(super) trait Word {
    /// The one it is.
    fn name(&self) -> String;
    /// All of them.
    fn names(&self) -> Vec<String>;
    /// Takes one; `false` where it is none of them.
    fn take(&mut self, name: &str) -> bool;
}

impl<T: ValueEnum> Word for T {
    fn name(&self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn names(&self) -> Vec<String> {
        T::value_variants().iter().map(Word::name).collect()
    }

    fn take(&mut self, name: &str) -> bool {
        let found = T::from_str(name, false);
        found.map(|value| *self = value).is_ok()
    }
}

impl Slot<'_> {
    /// Takes a value of the file. A text is never repeated in an error: somebody may have put a secret where its file belongs.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub(super) fn take(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let allowed = self.allowed();
        self.try_take(value)
            .map_err(|why| format!("{why}; allowed: {allowed}"))
    }

    fn try_take(&mut self, value: &DeValue<'_>) -> Result<(), String> {
        let other = || format!("it is {}", kind(value));
        let text = || value.as_str().ok_or_else(other);
        match self {
            Self::Flag(slot) => **slot = value.as_bool().ok_or_else(other)?,
            Self::Time(slot, range, off) => {
                let time = match whole(value) {
                    Some(0) => Duration::ZERO,
                    Some(_) => return Err("it has no unit".to_owned()),
                    None => cli::duration(text()?)?,
                };
                let zero = time.is_zero() && *off == OrOff::Zero;
                **slot = within(time, range, zero)?;
            }
            Self::Size(slot, range, off) => {
                let size = bytes(value, other)?;
                **slot = within(size, range, size == 0 && *off == OrOff::Zero)?;
            }
            Self::SizeOrAuto(slot, range) => {
                **slot = match value.as_str() {
                    Some("auto") => None,
                    _ => Some(within(bytes(value, other)?, range, false)?),
                };
            }
            Self::Count(slot, range) => {
                let DeValue::Integer(_) = value else {
                    return Err(other());
                };
                let count = whole(value).ok_or("it is out of bounds")?;
                **slot = within(count, range, false)?;
            }
            Self::Number(slot, range, off) => {
                let number = number(value).ok_or_else(other)?;
                **slot = within(number, range, number == 0.0 && *off == OrOff::Zero)?;
            }
            Self::Path(slot) => **slot = path(text()?, MAX_PATH)?,
            Self::SocketPath(slot) => **slot = path(text()?, MAX_SOCKET_PATH)?,
            Self::Listen(slot) => {
                **slot = match text()? {
                    "" => None,
                    text => Some(listen(text).ok_or("it is no number of an address with a port")?),
                };
            }
            Self::Url(slot) => {
                **slot = match text()? {
                    "" => None,
                    text => Some(text.parse()?),
                };
            }
            Self::Text(slot) => {
                let text = text()?;
                if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
                    return Err("it is too long, or holds control characters".to_owned());
                }
                **slot = text.to_owned();
            }
            Self::Word(slot) => {
                if !slot.take(text()?) {
                    return Err("it is none of these words".to_owned());
                }
            }
        }
        Ok(())
    }

    /// The value as it stands in a file.
    pub(super) fn shown(&self) -> String {
        // Control characters are refused.
        let quoted =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let path = |path: &Option<PathBuf>| {
            let path = path.as_deref().unwrap_or(Path::new(""));
            quoted(&path.to_string_lossy())
        };
        match self {
            Self::Flag(slot) => slot.to_string(),
            Self::Time(slot, ..) => quoted(&units::time(**slot)),
            Self::Size(slot, ..) => quoted(&units::size(**slot)),
            Self::SizeOrAuto(slot, _) => {
                quoted(&slot.map_or_else(|| "auto".to_owned(), units::size))
            }
            Self::Count(slot, _) => slot.to_string(),
            Self::Number(slot, ..) => format!("{:?}", **slot),
            Self::Path(slot) | Self::SocketPath(slot) => path(slot),
            Self::Listen(slot) => quoted(&slot.map_or_else(String::new, |it| it.to_string())),
            Self::Url(slot) => quoted(&slot.as_ref().map_or_else(String::new, Address::whole)),
            Self::Text(slot) => quoted(slot),
            Self::Word(slot) => quoted(&slot.name()),
        }
    }

    /// Takes the value of the same key of another configuration.
    pub(super) fn copy(&mut self, other: Slot<'_>) {
        match (self, other) {
            (Self::Flag(to), Slot::Flag(from)) => **to = *from,
            (Self::Time(to, ..), Slot::Time(from, ..)) => **to = *from,
            (Self::Size(to, ..), Slot::Size(from, ..))
            | (Self::Count(to, _), Slot::Count(from, _)) => **to = *from,
            (Self::SizeOrAuto(to, _), Slot::SizeOrAuto(from, _)) => **to = *from,
            (Self::Number(to, ..), Slot::Number(from, ..)) => **to = *from,
            (Self::Path(to), Slot::Path(from)) | (Self::SocketPath(to), Slot::SocketPath(from)) => {
                to.clone_from(from);
            }
            (Self::Listen(to), Slot::Listen(from)) => **to = *from,
            (Self::Url(to), Slot::Url(from)) => to.clone_from(from),
            (Self::Text(to), Slot::Text(from)) => to.clone_from(from),
            (Self::Word(to), Slot::Word(from)) => {
                to.take(&from.name());
            }
            _ => debug_assert!(false, "a key has one kind of value"),
        }
    }

    /// What may stand there, in words.
    pub(super) fn allowed(&self) -> String {
        let zero = |off: OrOff, zero: &str| match off {
            OrOff::Zero => format!(", or {zero} for never"),
            OrOff::No => String::new(),
        };
        match self {
            Self::Flag(_) => "true or false".to_owned(),
            Self::Time(_, range, off) => {
                let (from, to) = (units::time(*range.start()), units::time(*range.end()));
                format!("{from:?} to {to:?}{}", zero(*off, "\"0s\""))
            }
            Self::Size(_, range, off) => format!("{}{}", sizes(range), zero(*off, "0")),
            Self::SizeOrAuto(_, range) => format!("{}, or \"auto\"", sizes(range)),
            Self::Count(_, range) => {
                format!("a whole number, {} to {}", range.start(), range.end())
            }
            Self::Number(_, range, off) => {
                format!(
                    "a number, {} to {}{}",
                    range.start(),
                    range.end(),
                    zero(*off, "0")
                )
            }
            Self::Path(_) => format!("an absolute path of at most {MAX_PATH} bytes, or \"\""),
            Self::SocketPath(_) => {
                format!("an absolute path of at most {MAX_SOCKET_PATH} bytes, or \"\"")
            }
            Self::Listen(_) => {
                "an address by number and a port, as \"127.0.0.1:9943\" or \"[::1]:9943\", or \"\""
                    .to_owned()
            }
            Self::Url(_) => "a URL with http or https, or \"\"".to_owned(),
            Self::Text(_) => format!("one line of at most {MAX_TEXT} bytes"),
            Self::Word(slot) => {
                let names = slot.names();
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                names.join(", ")
            }
        }
    }
}

fn sizes(range: &RangeInclusive<u64>) -> String {
    let (from, to) = (units::size(*range.start()), units::size(*range.end()));
    format!("{from:?} to {to:?}")
}

/// The value, if it is within bounds, or is let through in spite of them.
fn within<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    let_through: bool,
) -> Result<T, String> {
    match let_through || range.contains(&value) {
        true => Ok(value),
        false => Err("it is out of bounds".to_owned()),
    }
}

fn bytes(value: &DeValue<'_>, other: impl Fn() -> String) -> Result<u64, String> {
    match (value, whole(value)) {
        (_, Some(size)) => Ok(size),
        (DeValue::Integer(_), None) => Err("it is out of bounds".to_owned()),
        _ => units::parse_size(value.as_str().ok_or_else(other)?),
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(value) => value.as_str().parse().ok(),
        DeValue::Integer(value) if value.radix() == 10 => value.as_str().parse().ok(),
        _ => None,
    }
}

fn path(text: &str, max: usize) -> Result<Option<PathBuf>, String> {
    match text {
        "" => Ok(None),
        _ if !text.starts_with('/') => Err("it is no absolute path".to_owned()),
        _ if text.len() > max => Err("it is too long".to_owned()),
        _ if text.chars().any(char::is_control) => Err("it holds control characters".to_owned()),
        _ => Ok(Some(PathBuf::from(text))),
    }
}

/// An address and its port. The brackets around an address of IPv6 may lack, because `$(POD_IP):9943` has none.
fn listen(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.rsplit_once(':')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(SocketAddr::new(IpAddr::V6(address), port.parse().ok()?))
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time of day",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
