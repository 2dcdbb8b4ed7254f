//! What tests of `deploy/` and of metrics check with: promtool and kustomize of Debian, and of PyPI kubernetes-validate, which brings the
//! schemas of Kubernetes along, and Prometheus' own client, which has the reference parser of OpenMetrics. All of it lies in the cache, and
//! nothing else on the machine sees it. Prometheus itself comes with promtool; machines get it where they ask for it.

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

/// Packages with the suite that they are of: the oldest that serves, because a C library of the host runs them. The first kustomize that
/// Debian has is trixie's.
const PACKAGES: [&str; 2] = ["prometheus/bookworm", "kustomize/trixie"];
/// Their programs, each with an argument that it takes when all is well.
const PROGRAMS: [(&str, &str); 3] = [
    ("promtool", "--version"),
    ("prometheus", "--version"),
    ("kustomize", "version"),
];
/// Where the packages put them.
const FOLDER: &str = "usr/bin";

/// A package of PyPI.
struct Module {
    /// Its name there, which is that of the program which starts it.
    name: &'static str,
    version: &'static str,
    /// That program, beside which its modules are found.
    start: &'static str,
    /// Arguments that it takes when all is well.
    trial: &'static [&'static str],
}

const MODULES: [Module; 2] = [
    Module {
        name: "kubernetes-validate",
        version: "1.37.0",
        start: "#!/bin/sh
# kubernetes-validate with the modules that were unpacked beside this file.
here=$(dirname \"$(readlink -f \"$0\")\")
PYTHONPATH=\"$here\" exec python3 -m kubernetes_validate \"$@\"
",
        trial: &["--version"],
    },
    // It has the reference parser of OpenMetrics.
    Module {
        name: "prometheus-client",
        version: "0.26.0",
        start: "#!/bin/sh
# Python with the module that was unpacked beside this file.
here=$(dirname \"$(readlink -f \"$0\")\")
PYTHONPATH=\"$here\" exec python3 \"$@\"
",
        trial: &["-c", "import prometheus_client.openmetrics.parser"],
    },
];

/// Whether Debian's programs are in the cache.
pub(crate) fn programs_cached(cache: &Cache) -> bool {
    let place = programs_place(cache);
    PROGRAMS
        .iter()
        .all(|(name, _)| linked(cache, name, &place.join(name)))
}

/// Unpacks Debian's programs where they lack.
pub(crate) fn programs(cache: &Cache) -> Result<()> {
    if programs_cached(cache) {
        return Ok(());
    }
    let lock = cache.lock()?;
    if programs_cached(cache) {
        return Ok(());
    }
    eprintln!("set-up: promtool, Prometheus and kustomize");
    let apt = Apt::open(cache)?;
    let place = programs_place(cache);
    lock.install(&place, |work| {
        let unpacked = work.join("unpacked");
        apt.unpack(&PACKAGES.map(str::to_owned), &unpacked)?;
        for (name, argument) in PROGRAMS {
            let program = work.join(name);
            fs::rename(unpacked.join(FOLDER).join(name), &program)
                .with_context(|| format!("Debian's packages hold no {name}"))?;
            process::output(Command::new(&program).arg(argument))
                .with_context(|| format!("{name} does not start on this machine"))?;
        }
        cache::remove(&unpacked)
    })?;
    for (name, _) in PROGRAMS {
        link(cache, name, &place.join(name))?;
    }
    Ok(())
}

/// Prometheus, unpacked where it lacks.
pub(crate) fn prometheus(cache: &Cache) -> Result<PathBuf> {
    programs(cache)?;
    Ok(programs_place(cache).join("prometheus"))
}

/// Whether the packages of PyPI are in the cache.
pub(crate) fn modules_cached(cache: &Cache) -> bool {
    MODULES.iter().all(|module| module.is_cached(cache))
}

/// Unpacks the packages of PyPI where they lack. A machine without Python or its pip has none, which is said: the tests then skip themselves.
pub(crate) fn modules(cache: &Cache) -> Result<()> {
    if modules_cached(cache) {
        return Ok(());
    }
    let lock = cache.lock()?;
    for module in &MODULES {
        if module.is_cached(cache) {
            continue;
        }
        let name = module.name;
        if let Err(error) =
            process::output(Command::new("python3").args(["-m", "pip", "--version"]))
        {
            eprintln!(
                "set-up: no {name}, because Python's pip lacks (packages python3 and python3-pip): {error:#}"
            );
            continue;
        }
        eprintln!("set-up: {name}");
        let place = module.place(cache);
        lock.install(&place, |work| {
            process::output(
                Command::new("python3")
                    .args(["-m", "pip", "install", "--quiet", "--no-input"])
                    .args(["--disable-pip-version-check", "--root-user-action=ignore"])
                    // Nothing is built, and nothing compiled that runs for a second.
                    .args(["--only-binary", ":all:", "--no-compile", "--target"])
                    .arg(work)
                    .arg(format!("{name}=={}", module.version)),
            )
            .context("it could not be fetched; check that pip reaches its index")?;
            let start = work.join(name);
            fs::write(&start, module.start)?;
            fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
            process::output(Command::new(&start).args(module.trial))
                .map(|_| ())
                .context("it does not start on this machine")
        })?;
        link(cache, name, &place.join(name))?;
    }
    Ok(())
}

impl Module {
    fn is_cached(&self, cache: &Cache) -> bool {
        linked(cache, self.name, &self.place(cache).join(self.name))
    }

    fn place(&self, cache: &Cache) -> PathBuf {
        place(cache, &format!("{}-{}", self.name, self.version))
    }
}

fn programs_place(cache: &Cache) -> PathBuf {
    place(cache, &PACKAGES.join("-"))
}

/// Named by what is in it, so that a change of the recipe makes another one.
fn place(cache: &Cache, what: &str) -> PathBuf {
    cache.path("checkers").join(what.replace('/', "-"))
}

/// Whether a program is there, and is the one that tests find.
fn linked(cache: &Cache, name: &str, program: &Path) -> bool {
    let found = cache.path("tools/bin").join(name).canonicalize();
    program.is_file() && found.is_ok_and(|path| Some(path) == program.canonicalize().ok())
}

fn link(cache: &Cache, name: &str, program: &Path) -> Result<()> {
    let links = cache.folder("tools/bin")?;
    cache::replace_link(program, &links.join(name))
}
