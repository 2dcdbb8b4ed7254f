//! A browser for the test that opens pages: Debian's headless Chromium, unpacked into the cache with the libraries that it needs, but
//! for the host's own C library. That of the suite must not be newer than the host's, so it is the oldest suite that has one.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    apt::Apt,
    cache::{self, Cache},
    process,
};

const SUITE: &str = "bookworm";
const PACKAGES: [&str; 2] = ["chromium-headless-shell", "fonts-dejavu-core"];
/// Where the packages put it.
const PROGRAM: &str = "usr/lib/chromium/chromium-headless-shell";
/// Where libraries lie.
const LIBRARIES: [&str; 3] = [
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/pulseaudio",
];
/// Libraries of which the host's own are used: the loader and the C library fit each other only. The last one is LLVM, 110 MB that
/// only a graphics card would need.
const UNUSED: [&str; 12] = [
    "ld-linux-x86-64.so",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libresolv.so",
    "libutil.so",
    "libmvec.so",
    "libanl.so",
    "libnss_",
    "libLLVM",
];
/// The program that starts it, beside which everything else is found.
const START: &str = "#!/bin/sh
# Headless Chromium with the libraries and the fonts that were unpacked beside this file.
here=$(dirname \"$(readlink -f \"$0\")\")
export LD_LIBRARY_PATH=\"$here/usr/lib/x86_64-linux-gnu:$here/lib/x86_64-linux-gnu:$here/usr/lib/x86_64-linux-gnu/pulseaudio\"
export FONTCONFIG_FILE=\"$here/fonts.conf\"
exec \"$here/usr/lib/chromium/chromium-headless-shell\" \"$@\"
";
const FONTS: &str = "<?xml version=\"1.0\"?>
<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">
<fontconfig><dir prefix=\"relative\">usr/share/fonts</dir><cachedir prefix=\"xdg\">tcpress-fonts</cachedir></fontconfig>
";

/// The program that starts it, if it is in the cache.
pub(crate) fn cached(cache: &Cache) -> Option<PathBuf> {
    let start = place(cache).join("chromium");
    let linked = link(cache)
        .canonicalize()
        .is_ok_and(|path| Some(path) == start.canonicalize().ok());
    (start.is_file() && linked).then_some(start)
}

/// The same, made where it lacks.
pub(crate) fn resolve(cache: &Cache) -> Result<PathBuf> {
    if let Some(start) = cached(cache) {
        return Ok(start);
    }
    let lock = cache.lock()?;
    if let Some(start) = cached(cache) {
        return Ok(start);
    }
    eprintln!("set-up: headless Chromium");
    let apt = Apt::open(cache)?;
    let folder = place(cache);
    lock.install(&folder, |work| {
        apt.unpack_closure(SUITE, &PACKAGES.map(str::to_owned), work)?;
        trim(work).context("Debian's packages are not as expected")?;
        let start = work.join("chromium");
        fs::write(&start, START)?;
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
        fs::write(work.join("fonts.conf"), FONTS)?;
        process::output(Command::new(&start).arg("--version"))
            .map(|_| ())
            .context("it does not start on this machine")
    })?;
    cache.folder("tools/bin")?;
    let start = folder.join("chromium");
    cache::replace_link(&start, &link(cache))?;
    Ok(start)
}

/// Where the test looks for it.
fn link(cache: &Cache) -> PathBuf {
    cache.path("tools/bin/chromium")
}

/// Named by what is in it, so that a change of the recipe makes another one.
fn place(cache: &Cache) -> PathBuf {
    let name = format!("{SUITE}-{}", PACKAGES.join("-"));
    cache.path("chromium").join(name)
}

/// Takes away what is not used.
fn trim(root: &Path) -> Result<()> {
    anyhow::ensure!(root.join(PROGRAM).is_file(), "no {PROGRAM} is in them");
    for unread in [
        "usr/share/doc",
        "usr/share/man",
        "usr/share/locale",
        "usr/lib/x86_64-linux-gnu/dri",
    ] {
        cache::remove(&root.join(unread))?;
    }
    for folder in LIBRARIES {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if UNUSED.iter().any(|unused| name.starts_with(unused)) {
                cache::remove(&path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_c_library_is_used_and_everything_else_stays() {
        let root = std::env::temp_dir().join(format!("tcpress-chromium-{}", std::process::id()));
        let files = [
            PROGRAM,
            "lib/x86_64-linux-gnu/libc.so.6",
            "lib/x86_64-linux-gnu/libcap.so.2",
            "usr/lib/x86_64-linux-gnu/libnss3.so",
        ];
        assert!(trim(&root).is_err(), "without the program");
        for file in files {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        trim(&root).unwrap();
        let there = files.map(|file| root.join(file).is_file());
        cache::remove(&root).unwrap();
        assert_eq!(there, [true, false, true, true]);
        for folder in LIBRARIES {
            assert!(START.contains(&format!("$here/{folder}")), "{folder}");
        }
        assert!(START.contains(PROGRAM));
    }
}
