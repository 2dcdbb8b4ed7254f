//! Sends a message and what waits before it.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::{
    Failure, Message, Remedy, Sender,
    spool::{Entry, Kept, Spool},
};
use crate::output::size;

/// Between two tries to get the right to send.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A message that was not sent although there is a spool.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct Unsent {
    words: String,
    /// Whether it waits in the spool.
    pub waits: bool,
}

/// Sends one message; without a spool it is sent now or not at all. With one, it waits there until it is sent, so that nothing is lost
/// if this process ends, and whatever waits for the same address goes before it. `patience` is how long another export that sends
/// from the same spool is waited for.
///
/// # Errors
/// When the message was not sent; [`Unsent`] tells whether it waits.
pub async fn send(
    sender: &Sender<'_>,
    spool: Option<&Spool>,
    message: &Message,
    patience: Duration,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let Some(spool) = spool else {
        let told = sender.deliver(message).await?;
        say(&told);
        return Ok(());
    };
    let own = match spool.put(message)? {
        Kept::Waits(entry) => Some(entry),
        Kept::NoRoom => None,
    };
    let folder = spool.folder().display();
    let Some(_right) = right(spool, patience).await? else {
        return Err(unsent(
            spool,
            own.as_ref(),
            &format!("another export is sending from {folder}"),
        ));
    };
    if let Err(failure) = drain(sender, spool, message, own.as_ref(), say).await? {
        return Err(unsent(spool, own.as_ref(), &format!("not sent: {failure}")));
    }
    if own.is_none() {
        match sender.deliver(message).await {
            Ok(told) => say(&told),
            Err(failure) => return Err(unsent(spool, None, &format!("not sent: {failure}"))),
        }
    }
    let lost = spool.take_lost()?;
    if lost > 0 {
        say(&format!(
            "lost since the last export that got through: {}, which found no room in {folder}",
            size::count(lost, "message")
        ));
    }
    Ok(())
}

/// The right to send from a spool, as soon as nobody else has it.
async fn right(spool: &Spool, patience: Duration) -> anyhow::Result<Option<std::fs::File>> {
    let end = Instant::now() + patience;
    loop {
        match spool.sending()? {
            None if Instant::now() < end => tokio::time::sleep(BETWEEN_LOOKS).await,
            right => return Ok(right),
        }
    }
}

/// Sends all that waits for the address of a message, that message among it, in order. The first failure ends it, because order matters:
/// a resolution must not overtake what it resolves.
async fn drain(
    sender: &Sender<'_>,
    spool: &Spool,
    message: &Message,
    own: Option<&Entry>,
    say: &dyn Fn(&str),
) -> anyhow::Result<Result<(), Failure>> {
    let mut others = 0;
    let mut rejected = None;
    for entry in spool.waiting()? {
        let waits = match spool.read(&entry) {
            Ok(waits) => waits,
            Err(why) => {
                let file = spool.set_aside(&entry)?;
                say(&format!("{why:#}; it is put aside as {}", file.display()));
                continue;
            }
        };
        if waits.to != message.to {
            others += 1;
            continue;
        }
        match sender.deliver(&waits).await {
            Ok(told) => {
                spool.remove(&entry)?;
                let earlier = if Some(&entry) == own {
                    ""
                } else {
                    " (it waited in the spool)"
                };
                say(&format!("{told}{earlier}"));
            }
            Err(failure) if failure.remedy == Remedy::None => {
                let file = spool.set_aside(&entry)?;
                say(&format!("{failure}; it is put aside as {}", file.display()));
                if Some(&entry) == own {
                    rejected = Some(failure);
                }
            }
            Err(failure) => return Ok(Err(failure)),
        }
    }
    if others > 0 {
        say(&format!(
            "{} for other addresses left in {}",
            size::count(others, "message"),
            spool.folder().display()
        ));
    }
    ensure!(rejected.is_none(), "not sent: the far end does not take it");
    Ok(Ok(()))
}

/// Why a message was not sent, and what becomes of it.
fn unsent(spool: &Spool, own: Option<&Entry>, why: &str) -> anyhow::Error {
    match fate(spool, own) {
        Ok(fate) => anyhow::Error::new(Unsent {
            words: format!("{why}; {fate}"),
            waits: own.is_some(),
        }),
        Err(error) => error.context(why.to_owned()),
    }
}

/// What becomes of a message that was not sent.
fn fate(spool: &Spool, own: Option<&Entry>) -> anyhow::Result<String> {
    let folder = spool.folder().display();
    if own.is_some() {
        let waiting = spool.waiting()?.len() as u64;
        return Ok(format!(
            "kept in {folder}, where {} now; the next export sends it first",
            match waiting {
                1 => "1 message waits".to_owned(),
                more => format!("{more} messages wait"),
            }
        ));
    }
    let lost = spool.count_lost()?;
    Ok(format!(
        "not kept either, because {folder} is full (--spool-bytes): {} lost so far",
        size::count(lost, "message")
    ))
}
