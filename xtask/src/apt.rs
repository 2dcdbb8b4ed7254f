//! Debian packages of any suite, fetched through an apt state of our own: the machine's package
//! sources tell where the archive is and stay as they are. Packages are unpacked, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    cache::{self, Cache},
    process::{self, output},
    sources::{self, Archives},
};

/// Suites that offer kernels, tools for the guest, and the sources of Rust's library.
const SUITES: [&str; 7] = [
    "bullseye",
    "bookworm",
    "bookworm-updates",
    "bookworm-backports",
    "trixie",
    "trixie-updates",
    "trixie-backports",
];
const SECURITY_SUITES: [&str; 3] = ["bullseye-security", "bookworm-security", "trixie-security"];
/// Package lists older than this are fetched anew before something is looked up in them.
const FRESH: Duration = Duration::from_secs(24 * 3600);
const MIRROR_VARIABLE: &str = "TCPRESS_DEBIAN_MIRROR";

/// The private apt state.
#[derive(Debug)]
pub(crate) struct Apt {
    options: Vec<String>,
    work: PathBuf,
}

impl Apt {
    /// Opens the state in the cache, with fresh package lists.
    pub(crate) fn open(cache: &Cache) -> Result<Self> {
        Self::open_at(cache, "apt", source_list)
    }

    /// The same for one suite and its sources, in a state of its own: nobody else needs lists of sources.
    pub(crate) fn open_for_sources(cache: &Cache, suite: &str) -> Result<Self> {
        Self::open_at(cache, "apt-src", |archives, keyring| {
            ["deb", "deb-src"]
                .map(|kind| line(kind, keyring, &archives.main, suite))
                .concat()
        })
    }

    fn open_at(
        cache: &Cache,
        name: &str,
        list_of: impl FnOnce(&Archives, &Path) -> String,
    ) -> Result<Self> {
        for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
            if process::find(tool).is_none() {
                bail!(
                    "{tool} is not on PATH: test kernels and guest tools come from Debian \
                     packages, so this needs a Debian or Ubuntu machine (packages apt and dpkg)"
                );
            }
        }
        let root = cache.folder(name)?;
        for folder in ["lists/partial", "archives/partial"] {
            cache.folder(&format!("{name}/{folder}"))?;
        }
        let list = root.join("sources.list");
        let wanted = list_of(&find_archives()?, &keyring()?);
        if fs::read_to_string(&list).ok().as_deref() != Some(&wanted) {
            fs::write(&list, &wanted)
                .with_context(|| format!("cannot write {}", list.display()))?;
            cache::remove(&root.join("updated"))?;
        }
        let status = root.join("status");
        fs::write(&status, "").with_context(|| format!("cannot write {}", status.display()))?;
        let apt = Self {
            options: options(&root),
            work: root,
        };
        apt.update()?;
        Ok(apt)
    }

    /// The names of all packages that match a regular expression.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let text = output(
            self.command("apt-cache")
                .args(["search", "--names-only", pattern]),
        )?;
        let name = |line: &str| line.split(" - ").next().map(str::to_owned);
        Ok(text.lines().filter_map(name).collect())
    }

    /// All versions of a package that the suites offer.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        let text = output(self.command("apt-cache").args(["madison", package]))?;
        let version = |line: &str| line.split('|').nth(1).map(|word| word.trim().to_owned());
        Ok(text.lines().filter_map(version).collect())
    }

    /// The names that a package depends on directly.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let text = output(
            self.command("apt-cache")
                .args(["depends", "--important", package]),
        )?;
        let name = |line: &str| line.trim().strip_prefix("Depends: ").map(str::to_owned);
        Ok(text.lines().filter_map(name).collect())
    }

    /// Fetches exactly these packages (`name` or `name=version`) and unpacks them into `root`.
    pub(crate) fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        self.unpack_with("download", &[], packages, root)
    }

    /// Fetches the archives of a source package into a folder, which is made. Their sums are those of the signed lists.
    pub(crate) fn source(&self, package: &str, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        eprintln!("fetching the source of {package}");
        output(
            self.command("apt-get")
                .args(["source", "--download-only", package])
                .current_dir(folder),
        )
        .context("the source could not be fetched; check the network and the mirror")?;
        Ok(())
    }

    /// The same with everything that they need, all of it from one suite.
    pub(crate) fn unpack_closure(
        &self,
        suite: &str,
        packages: &[String],
        root: &Path,
    ) -> Result<()> {
        let archives = format!("Dir::Cache::archives={}/fetch", self.work.display());
        let args = [
            "--yes",
            "--download-only",
            "--no-install-recommends",
            "--target-release",
            suite,
            "-o",
            "Debug::NoLocking=1",
            "-o",
            &archives,
        ];
        self.unpack_with("install", &args, packages, root)
    }

    fn unpack_with(
        &self,
        verb: &str,
        args: &[&str],
        packages: &[String],
        root: &Path,
    ) -> Result<()> {
        let folder = self.work.join("fetch");
        cache::remove(&folder)?;
        fs::create_dir_all(folder.join("partial"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        eprintln!("fetching {}", packages.join(" "));
        output(
            self.command("apt-get")
                .arg(verb)
                .args(args)
                .args(packages)
                .current_dir(&folder),
        )
        .context("the package could not be fetched; check the network and the mirror")?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                output(
                    Command::new("dpkg-deb")
                        .arg("--extract")
                        .arg(&path)
                        .arg(root),
                )?;
            }
        }
        cache::remove(&folder)
    }

    /// Fetches the package lists if they are old. A suite that the mirror does not serve is named
    /// and left out: what it would have offered is then reported as not offered.
    fn update(&self) -> Result<()> {
        let stamp = self.work.join("updated");
        let age = fs::metadata(&stamp)
            .and_then(|found| found.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age < FRESH) {
            return Ok(());
        }
        eprintln!("reading Debian's package lists (20 to 40 MB)");
        let mut update = self.command("apt-get");
        if let Err(error) = output(update.args(["-o", "APT::Update::Error-Mode=any", "update"])) {
            if self.names("^(linux-image|golang)-[0-9]")?.is_empty() {
                return Err(error).with_context(|| {
                    format!(
                        "no package list could be read; check the network, or name a Debian \
                         mirror that can be reached in {MIRROR_VARIABLE}"
                    )
                });
            }
            for line in format!("{error:#}").lines() {
                if let Some(what) = line.strip_prefix("E: ").or(line.strip_prefix("W: ")) {
                    eprintln!("left out: {what}");
                }
            }
        }
        fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).env("LC_ALL", "C");
        command
    }
}

fn find_archives() -> Result<Archives> {
    if let Ok(main) = std::env::var(MIRROR_VARIABLE) {
        let security = std::env::var(format!("{MIRROR_VARIABLE}_SECURITY")).ok();
        return Ok(Archives { main, security });
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or("")
        .trim_matches('"');
    sources::archives(&sources::read(Path::new("/etc/apt")), codename).with_context(|| {
        format!(
            "no Debian archive is among this machine's package sources (this is so on Ubuntu); \
             the test kernels are Debian's. Name a mirror and try again:\n  \
             export {MIRROR_VARIABLE}=http://MIRROR/debian"
        )
    })
}

fn keyring() -> Result<PathBuf> {
    ["gpg", "pgp"]
        .iter()
        .map(|end| PathBuf::from(format!("/usr/share/keyrings/debian-archive-keyring.{end}")))
        .find(|path| path.exists())
        .context(
            "Debian's signing keys are not on this machine; as root:\n  \
             apt-get install debian-archive-keyring",
        )
}

fn source_list(archives: &Archives, keyring: &Path) -> String {
    let line = |uri: &str, suite: &str| line("deb", keyring, uri, suite);
    let mut text: String = SUITES
        .iter()
        .map(|suite| line(&archives.main, suite))
        .collect();
    if let Some(security) = &archives.security {
        text.extend(SECURITY_SUITES.iter().map(|suite| line(security, suite)));
    }
    text
}

fn line(kind: &str, keyring: &Path, uri: &str, suite: &str) -> String {
    format!(
        "{kind} [signed-by={}] {uri} {suite} main\n",
        keyring.display()
    )
}

/// The machine's own apt settings (proxies, certificates) stay in force; all state is ours.
fn options(root: &Path) -> Vec<String> {
    let root = root.display();
    [
        format!("Dir::State={root}"),
        format!("Dir::State::status={root}/status"),
        format!("Dir::Cache={root}"),
        format!("Dir::Cache::archives={root}/archives"),
        format!("Dir::Cache::pkgcache={root}/pkgcache.bin"),
        format!("Dir::Cache::srcpkgcache={root}/srcpkgcache.bin"),
        format!("Dir::Etc::SourceList={root}/sources.list"),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        "Dir::Etc::Preferences=/dev/null".to_owned(),
        "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
        "APT::Architecture=amd64".to_owned(),
        "APT::Architectures=amd64".to_owned(),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".to_owned(),
        "Acquire::Retries=3".to_owned(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect()
}
