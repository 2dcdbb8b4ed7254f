//! Words on how far something is that takes long, not more often than once a second.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Between two lines, and before the first.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the words go, and when the next are due.
pub struct Progress<'a> {
    say: &'a (dyn Fn(&str) + Sync),
    due: Mutex<Instant>,
}

impl<'a> Progress<'a> {
    /// Begins now: what is done within a second says nothing.
    pub fn new(say: &'a (dyn Fn(&str) + Sync)) -> Self {
        Self {
            say,
            due: Mutex::new(Instant::now() + PAUSE),
        }
    }

    /// Says it if it is time to.
    pub(crate) fn tell(&self, words: impl FnOnce() -> String) {
        let now = Instant::now();
        // Who holds the lock is saying something right now.
        let Ok(mut due) = self.due.try_lock() else {
            return;
        };
        if now >= *due {
            *due = now + PAUSE;
            (self.say)(&words());
        }
    }
}

impl Progress<'static> {
    /// Says nothing.
    #[must_use]
    pub fn quiet() -> Self {
        Self::new(&|_| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_said_when_they_are_due_and_not_before() {
        let said = Mutex::new(Vec::new());
        let say = |words: &str| said.lock().unwrap().push(words.to_owned());
        let hour = Duration::from_secs(3600);
        for due in [Instant::now(), Instant::now() + hour] {
            let progress = Progress {
                say: &say,
                due: Mutex::new(due),
            };
            progress.tell(|| "now".to_owned());
        }
        assert_eq!(*said.lock().unwrap(), ["now"]);
        let progress = Progress::new(&say);
        assert!(*progress.due.lock().unwrap() > Instant::now());
    }
}
