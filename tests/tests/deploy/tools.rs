//! The checkers: found in the cache of `cargo xtask setup`, or on PATH.

use std::{
    collections::BTreeSet,
    env,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Mutex,
};

/// Tests that have said what they lack: a test that skips itself is one, whatever it looked for.
static SKIPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Where a program is. A test that gets none has said so, and does what is left to do without.
pub(crate) fn find(test: &str, program: &str) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let ours = cache.map(|cache| cache.join("tcpress/tools/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let found = ours
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    let first = || {
        let mut skipped = SKIPPED.lock().expect("nobody panics with it");
        skipped.insert(test.to_owned())
    };
    if found.is_none() && first() {
        tcpress_lab::skip(&format!(
            "{test}: no {program} here (`cargo xtask setup`, or this machine's packages)"
        ));
    }
    found
}

/// Says what is worth reading of a test that passes, past cargo, which keeps that to itself.
pub(crate) fn say(words: &str) {
    // Whoever reads it may be gone; that is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{words}");
}

/// How a run ended, and all that it said.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}
