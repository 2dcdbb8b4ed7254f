//! Puts together the first and only root of a guest: tools, our own programs, modules, what the
//! user shares, and the command to run.

use std::{
    fs,
    fs::File,
    io::{BufWriter, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    cpio::Archive,
    guest,
    modules::{self, Module},
};

const INIT: &str = include_str!("init.sh");
const DISK: &str = include_str!("disk.sh");

/// What goes into a guest.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// The tools, as the module `guest` makes them.
    pub(crate) guest: &'a Path,
    /// Programs for `/bin`.
    pub(crate) programs: &'a [PathBuf],
    /// Rules for a Prometheus that is among them.
    pub(crate) rules: Option<&'a Path>,
    /// The folder of the kernel's modules.
    pub(crate) modules: Option<&'a Path>,
    /// A folder that appears as `/share`.
    pub(crate) share: Option<&'a Path>,
    /// Whether the guest's root is a disk, onto which all but the tools is copied.
    pub(crate) for_disk: bool,
    /// The name of the disk that outlives the guest, if it has one.
    pub(crate) keep: Option<&'a str>,
    /// The cgroup layout: `v2`, `v1` or `hybrid`.
    pub(crate) cgroup: &'a str,
    /// The command and its arguments.
    pub(crate) command: &'a [String],
}

/// Writes the archive to `path`.
pub(crate) fn write(path: &Path, content: &Content<'_>) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    for folder in [
        "dev",
        "proc",
        "sys",
        "tmp",
        "run",
        "root",
        "var",
        "share/out",
        "sbin",
        "usr/sbin",
    ] {
        archive.folder(folder)?;
    }
    let init = if content.for_disk {
        archive.file("init", 0o755, DISK.as_bytes())?;
        "etc/vm/init"
    } else {
        "init"
    };
    archive.file(init, 0o755, INIT.as_bytes())?;
    // The kernel asks for modules here.
    archive.link("sbin/modprobe", "/bin/modprobe")?;
    archive.link("usr/bin", "/bin")?;
    add_folder(&mut archive, content.guest, "")?;
    for program in content.programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        add_file(&mut archive, program, &format!("bin/{name}"))?;
    }
    if let Some(rules) = content.rules {
        add_file(&mut archive, rules, "etc/prometheus/tcpress.rules.yaml")?;
    }
    if let Some(share) = content.share {
        add_folder(&mut archive, share, "share")?;
    }
    add_modules(&mut archive, content)?;
    let programs = content.programs.iter().filter_map(|it| it.file_name());
    let programs: String = programs
        .map(|name| format!("{}\n", name.to_string_lossy()))
        .collect();
    for (name, text) in [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        ),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        (
            "etc/hosts",
            "127.0.0.1 localhost tcpress-vm\n::1 localhost\n",
        ),
        ("etc/hostname", "tcpress-vm\n"),
        ("etc/vm/programs", &programs),
        ("etc/vm/keep", content.keep.unwrap_or_default()),
        ("etc/vm/cgroup", &format!("{}\n", content.cgroup)),
        (
            "etc/vm/command",
            &format!("exec {}\n", quote(content.command)),
        ),
    ] {
        archive.file(name, 0o644, text.as_bytes())?;
    }
    archive
        .finish()
        .with_context(|| format!("cannot write {}; is the disk full?", path.display()))?;
    Ok(())
}

fn add_modules<W: Write>(archive: &mut Archive<W>, content: &Content<'_>) -> Result<()> {
    let (mut at_boot, mut for_disk) = (String::new(), String::new());
    if let Some(folder) = content.modules {
        let mut xz = guest::busybox(content.guest);
        xz.extend(["xz", "-dc"].map(str::to_owned));
        // In the order of loading, those to be loaded at boot come first.
        for (list, names) in [
            (&mut at_boot, modules::AT_BOOT),
            (&mut for_disk, modules::FOR_DISK),
        ] {
            let read = modules::read(folder, names, &xz)?;
            list.extend(read.iter().map(|module| format!("{}\n", module.name)));
        }
        let wanted = [modules::AT_BOOT, modules::FOR_DISK, modules::ON_DEMAND].concat();
        let all = modules::read(folder, &wanted, &xz)?;
        for module in &all {
            archive.file(
                &format!("lib/modules/{}.ko", module.name),
                0o644,
                &module.content,
            )?;
        }
        archive.file(
            "lib/modules/modules.dep",
            0o644,
            dependencies(&all).as_bytes(),
        )?;
        archive.file("lib/modules/modules.alias", 0o644, aliases(&all).as_bytes())?;
    }
    archive.folder("lib/modules")?;
    archive.file("etc/vm/modules", 0o644, at_boot.as_bytes())?;
    archive.file("etc/vm/disk", 0o644, for_disk.as_bytes())?;
    Ok(())
}

fn dependencies(modules: &[Module]) -> String {
    let line = |module: &Module| {
        let needs: Vec<String> = modules
            .iter()
            .filter(|other| module.needs.contains(&other.name))
            .map(|other| format!("{}.ko", other.name))
            .collect();
        format!("{}.ko: {}\n", module.name, needs.join(" "))
    };
    modules.iter().map(line).collect()
}

fn aliases(modules: &[Module]) -> String {
    let mut text = String::new();
    for module in modules {
        for alias in &module.aliases {
            text.push_str(&format!("alias {alias} {}\n", module.name));
        }
    }
    text
}

fn add_folder<W: Write>(archive: &mut Archive<W>, folder: &Path, prefix: &str) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if prefix == "share" && name == "share/out" {
            // Results of an earlier run do not go back into a guest.
            continue;
        } else if kind.is_dir() {
            archive.folder(&name)?;
            add_folder(archive, &path, &name)?;
        } else if kind.is_symlink() {
            archive.link(&name, &fs::read_link(&path)?.to_string_lossy())?;
        } else if kind.is_file() {
            add_file(archive, &path, &name)?;
        }
    }
    Ok(())
}

fn add_file<W: Write>(archive: &mut Archive<W>, path: &Path, name: &str) -> Result<()> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mode = fs::metadata(path)?.permissions().mode();
    archive.file(name, mode, &content)?;
    Ok(())
}

/// Words as a shell takes them literally.
fn quote(words: &[String]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")))
        .collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_command_as_they_are() {
        let words = ["sh", "-c", "echo \"it's $HOME\""].map(str::to_owned);
        assert_eq!(quote(&words), r#"'sh' '-c' 'echo "it'\''s $HOME"'"#);
    }
}
