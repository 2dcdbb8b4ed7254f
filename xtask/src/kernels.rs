//! Test kernels: from a short name such as `6.12` to an image and its modules in the cache. Once
//! there, a kernel is used without a network.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::Apt,
    cache::{self, Cache},
    debian,
};

/// The kernels that `all` means.
pub(crate) const SUPPORTED: [&str; 11] = [
    "5.10", "6.1", "6.12", "6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3",
];
const PREFIX: &str = "linux-image-";
/// Debian's flavour for virtual machines: few drivers, quick to boot.
const FLAVOUR: &str = "-cloud-amd64";

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// What the user called it.
    pub(crate) name: String,
    /// The bzImage.
    pub(crate) image: PathBuf,
    /// The folder of its modules, if there are any.
    pub(crate) modules: Option<PathBuf>,
}

/// Turns a list of short names, `all`, or the path of an image into kernels, fetching what lacks.
/// `modules` is for an image given by its path.
pub(crate) fn resolve(cache: &Cache, list: &str, modules: Option<&Path>) -> Result<Vec<Kernel>> {
    let all = list == "all";
    let names: Vec<&str> = if all {
        SUPPORTED.to_vec()
    } else {
        list.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect()
    };
    if names.is_empty() {
        bail!("no kernel is named; try --kernel 6.1,6.12");
    }
    let mut apt = None;
    let mut kernels = Vec::new();
    for name in names {
        if name.contains('/') {
            kernels.push(given(name, modules)?);
            continue;
        }
        match cached(cache, name) {
            Some(kernel) => kernels.push(kernel),
            None => match fetch(cache, name, &mut apt) {
                Err(error) if all => eprintln!("kernel {name} is left out: {error:#}"),
                found => kernels.push(found?),
            },
        }
    }
    for kernel in &kernels {
        if kernel.modules.is_none() {
            // Debian keeps the images of some old kernels and not their modules.
            eprintln!(
                "kernel {}: without modules, so no veth, tun or netem",
                kernel.name
            );
        }
    }
    if kernels.is_empty() {
        bail!("none of the kernels is offered by the Debian mirror");
    }
    Ok(kernels)
}

/// A kernel in the cache. What is there is whole, as it was put in place in one step.
pub(crate) fn cached(cache: &Cache, name: &str) -> Option<Kernel> {
    let folder = fs::canonicalize(cache.path("kernels").join(name)).ok()?;
    let (image, modules) = (folder.join("vmlinuz"), folder.join("modules"));
    image.is_file().then(|| Kernel {
        name: name.to_owned(),
        image,
        modules: modules.is_dir().then_some(modules),
    })
}

fn given(path: &str, modules: Option<&Path>) -> Result<Kernel> {
    let image = PathBuf::from(path);
    if !image.is_file() {
        bail!("there is no kernel image at {path}");
    }
    let modules = modules
        .map(|folder| {
            modules_folder(folder).with_context(|| {
                format!(
                    "{} has neither a folder kernel nor lib/modules/RELEASE/kernel; give the \
                     folder lib/modules/RELEASE of that kernel",
                    folder.display()
                )
            })
        })
        .transpose()?;
    Ok(Kernel {
        name: path.to_owned(),
        image,
        modules,
    })
}

/// Accepts the folder itself, or one that has `lib/modules/RELEASE` (`usr/lib` from 6.19 on).
fn modules_folder(root: &Path) -> Option<PathBuf> {
    if root.join("kernel").is_dir() {
        return Some(root.to_path_buf());
    }
    ["lib/modules", "usr/lib/modules"]
        .iter()
        .flat_map(|below| entries(&root.join(below)))
        .find(|path| path.join("kernel").is_dir())
}

fn fetch(cache: &Cache, name: &str, apt: &mut Option<Apt>) -> Result<Kernel> {
    let lock = cache.lock()?;
    if let Some(kernel) = cached(cache, name) {
        return Ok(kernel);
    }
    let apt = match apt {
        Some(apt) => apt,
        None => apt.insert(Apt::open(cache)?),
    };
    let offered = apt.names(&format!("^{PREFIX}[0-9.]+.*{FLAVOUR}(-unsigned)?$"))?;
    let names = || offered.iter().map(String::as_str);
    let prefix = format!("{PREFIX}{name}.");
    let Some(package) = debian::newest(names(), &prefix, FLAVOUR)
        .or_else(|| debian::newest(names(), &prefix, &format!("{FLAVOUR}-unsigned")))
    else {
        bail!(
            "the Debian mirror offers no kernel {name} today; it offers {}",
            releases(&offered).join(", ")
        );
    };
    // From 6.19 on the image package is empty and names the packages that hold image and modules.
    let mut packages = vec![package.to_owned()];
    packages.extend(apt.depends(package)?.into_iter().filter(|needed| {
        needed.starts_with("linux-binary-") || needed.starts_with("linux-modules-")
    }));
    let version = apt.versions(package)?.first().cloned().unwrap_or_default();
    let folder = cache
        .folder("kernels")?
        .join(format!("{package}_{version}"));
    lock.install(&folder, |work| {
        let unpacked = work.join("unpacked");
        apt.unpack(&packages, &unpacked)?;
        place(&unpacked, work)?;
        cache::remove(&unpacked)
    })?;
    cache::replace_link(&folder, &cache.path("kernels").join(name))?;
    cached(cache, name).with_context(|| format!("{package} was unpacked but is not whole"))
}

fn place(unpacked: &Path, work: &Path) -> Result<()> {
    let modules = modules_folder(unpacked);
    // From 7.2 on the image lies beside the modules.
    let beside = entries(&unpacked.join("usr/lib/modules"))
        .map(|release| release.join("vmlinuz"))
        .find(|path| path.is_file());
    let image = entries(&unpacked.join("boot"))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.as_bytes().starts_with(b"vmlinuz-"))
        })
        .or(beside)
        .context("the kernel package holds no vmlinuz")?;
    fs::rename(image, work.join("vmlinuz")).context("cannot move the kernel image")?;
    if let Some(modules) = modules {
        fs::rename(modules, work.join("modules")).context("cannot move the kernel's modules")?;
    }
    Ok(())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The short names among package names such as `linux-image-6.12.117+deb13-cloud-amd64`.
fn releases(packages: &[String]) -> Vec<String> {
    let short = |package: &String| {
        let mut parts = package.strip_prefix(PREFIX)?.split(['.', '-', '+']);
        Some(format!("{}.{}", parts.next()?, parts.next()?))
    };
    let unique: BTreeSet<String> = packages.iter().filter_map(short).collect();
    let mut sorted: Vec<String> = unique.into_iter().collect();
    sorted.sort_by(|left, right| debian::compare(left, right));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_read_off_packages_in_order() {
        let packages = [
            "linux-image-6.12.117+deb13-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-5.10.0-46-cloud-amd64-unsigned",
            "linux-image-6.1-cloud-amd64",
        ]
        .map(str::to_owned);
        assert_eq!(releases(&packages), ["5.10", "6.1", "6.12"]);
    }
}
