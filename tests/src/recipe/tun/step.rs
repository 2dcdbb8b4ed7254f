//! What the TUN client is told to do: one step is one word such as `ascending:200x1+1`.
//!
//! | step | meaning |
//! |---|---|
//! | `in-order:NxSIZE` | N segments that continue the stream, whatever the window |
//! | `retry:NxSIZE` | the next segment of the stream N times, the stream not moving on |
//! | `ascending:NxSIZE+GAP` | N segments beyond a hole, upwards, GAP bytes between them |
//! | `descending:NxSIZE+GAP` | the same, downwards |
//! | `repeat:NxSIZE` | one and the same segment beyond a hole, N times |
//! | `corrupt:NxSIZE` | as `retry`, with a wrong checksum |
//! | `syn:N` | N requests for connections, each from another port, which are never completed |
//! | `feed:BYTES` | BYTES of the stream, reliably: the window is honoured, what is not acknowledged is sent again, until nothing moves |
//! | `close` | the end of the stream, after what is acknowledged, sent again until it is acknowledged too |
//! | `reset` | an end without regard to what was sent: the server's socket is dead at once |
//! | `await` | wait for data from the server, and until nobody there holds the socket |
//! | `until:PATH` | wait until a file exists |
//! | `pause:MILLISECONDS` | wait |

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Segments that continue the stream.
    InOrder {
        /// How many.
        count: u32,
        /// Payload of each.
        size: u32,
    },
    /// The next segment of the stream, again and again.
    Retry {
        /// How often.
        count: u32,
        /// Payload of each.
        size: u32,
    },
    /// Segments beyond a hole.
    Beyond {
        /// How many.
        count: u32,
        /// Payload of each.
        size: u32,
        /// Bytes left out between two of them.
        gap: u32,
        /// From the far end towards the hole.
        descending: bool,
    },
    /// One segment beyond a hole, again and again.
    Repeat {
        /// How often.
        count: u32,
        /// Payload.
        size: u32,
    },
    /// The next segment of the stream with a wrong checksum.
    Corrupt {
        /// How often.
        count: u32,
        /// Payload of each.
        size: u32,
    },
    /// Requests for connections.
    Syn {
        /// How many.
        count: u16,
    },
    /// Bytes of the stream, sent reliably.
    Feed {
        /// How many bytes each connection gets.
        bytes: u32,
    },
    /// The end of the stream.
    Close,
    /// An end without regard to what was sent.
    Reset,
    /// Wait for data from the server, and until nobody there holds the socket.
    Await,
    /// Wait until a file exists: whoever started the recipe says so when to go on.
    Until(PathBuf),
    /// Wait.
    Pause {
        /// How long.
        millis: u64,
    },
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let parse = || -> Option<Self> {
            Some(match name {
                "in-order" => sized(rest).map(|(count, size)| Self::InOrder { count, size })?,
                "retry" => sized(rest).map(|(count, size)| Self::Retry { count, size })?,
                "repeat" => sized(rest).map(|(count, size)| Self::Repeat { count, size })?,
                "corrupt" => sized(rest).map(|(count, size)| Self::Corrupt { count, size })?,
                "syn" => Self::Syn {
                    count: rest.parse().ok()?,
                },
                "ascending" | "descending" => {
                    let (rest, gap) = rest.split_once('+')?;
                    let ((count, size), gap) = (sized(rest)?, gap.parse().ok()?);
                    Self::Beyond {
                        count,
                        size,
                        gap,
                        descending: name == "descending",
                    }
                }
                "feed" => Self::Feed {
                    bytes: rest.parse().ok()?,
                },
                "close" if rest.is_empty() => Self::Close,
                "reset" if rest.is_empty() => Self::Reset,
                "await" if rest.is_empty() => Self::Await,
                "until" if !rest.is_empty() => Self::Until(rest.into()),
                "pause" => Self::Pause {
                    millis: rest.parse().ok()?,
                },
                _ => return None,
            })
        };
        parse().ok_or_else(|| format!("{text} is no step"))
    }
}

/// `NxSIZE`, both above zero and the size within one segment.
fn sized(text: &str) -> Option<(u32, u32)> {
    let (count, size) = text.split_once('x')?;
    let (count, size) = (count.parse().ok()?, size.parse().ok()?);
    (count > 0 && (1..=1460).contains(&size)).then_some((count, size))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InOrder { count, size } => write!(f, "in-order:{count}x{size}"),
            Self::Retry { count, size } => write!(f, "retry:{count}x{size}"),
            Self::Beyond {
                count,
                size,
                gap,
                descending,
            } => {
                let name = if *descending {
                    "descending"
                } else {
                    "ascending"
                };
                write!(f, "{name}:{count}x{size}+{gap}")
            }
            Self::Repeat { count, size } => write!(f, "repeat:{count}x{size}"),
            Self::Corrupt { count, size } => write!(f, "corrupt:{count}x{size}"),
            Self::Syn { count } => write!(f, "syn:{count}"),
            Self::Feed { bytes } => write!(f, "feed:{bytes}"),
            Self::Close => write!(f, "close"),
            Self::Reset => write!(f, "reset"),
            Self::Await => write!(f, "await"),
            Self::Until(path) => write!(f, "until:{}", path.display()),
            Self::Pause { millis } => write!(f, "pause:{millis}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_shown() {
        for text in [
            "in-order:3x1000",
            "retry:2x1",
            "ascending:200x1+1",
            "descending:200x1+1",
            "repeat:9x10",
            "corrupt:9x10",
            "syn:20",
            "feed:65536",
            "close",
            "reset",
            "await",
            "until:/tmp/go",
            "pause:100",
        ] {
            assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "in-order",
            "in-order:0x1",
            "in-order:1x0",
            "in-order:1x1461",
            "ascending:1x1",
            "await:1",
            "close:1",
            "feed:x",
        ] {
            assert_eq!(text.parse::<Step>(), Err(format!("{text} is no step")));
        }
    }
}
