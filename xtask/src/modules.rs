//! Which kernel modules go into a guest, and in which order they load. Debian's packages carry no
//! `modules.dep` (it is made on installation), so each module's own list of needs is read instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// Modules that the guest's init loads at boot.
pub(crate) const AT_BOOT: &[&str] = &[
    "inet_diag",
    "tcp_diag",
    "veth",
    "bridge",
    "tun",
    "dummy",
    "sch_netem",
];

/// Modules without which a guest finds no disk.
pub(crate) const FOR_DISK: &[&str] = &["virtio_pci", "virtio_blk", "ext4"];

/// Modules that are in the guest for `modprobe`, and for the kernel when a command asks for them.
pub(crate) const ON_DEMAND: &[&str] = &[
    "udp_diag",
    "unix_diag",
    "ifb",
    "sch_tbf",
    "sch_htb",
    "sch_fq",
    "sch_ingress",
    "sch_prio",
    "act_mirred",
    "cls_u32",
    "cls_matchall",
    "cls_bpf",
    "nf_tables",
    "nft_ct",
    "nft_limit",
    "nft_reject_inet",
    "nf_conntrack",
    "overlay",
    "macvlan",
    "ipvlan",
    "vxlan",
    "tcp_bbr",
    "tls",
    "virtio_net",
    "virtio_console",
    "null_blk",
];

/// A module, ready to be put into a guest.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its name as the kernel writes it.
    pub(crate) name: String,
    /// Its ELF file.
    pub(crate) content: Vec<u8>,
    /// The names of modules it needs.
    pub(crate) needs: Vec<String>,
    /// The names under which the kernel asks for it.
    pub(crate) aliases: Vec<String>,
}

/// Reads the modules `wanted` below `folder` with everything they need, each after its needs. One
/// that has no file is built in or absent, and is left out. `xz` is a program that unpacks `.xz`
/// from stdin to stdout.
pub(crate) fn read(folder: &Path, wanted: &[&str], xz: &[String]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    index(folder, &mut files)?;
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for name in wanted {
        visit(name, &mut seen, &mut found, &mut |name| {
            files.get(name).map(|path| load(name, path, xz)).transpose()
        })?;
    }
    Ok(found)
}

fn visit(
    name: &str,
    seen: &mut BTreeSet<String>,
    found: &mut Vec<Module>,
    load: &mut dyn FnMut(&str) -> Result<Option<Module>>,
) -> Result<()> {
    if !seen.insert(name.to_owned()) {
        return Ok(());
    }
    if let Some(module) = load(name)? {
        for need in &module.needs {
            visit(need, seen, found, load)?;
        }
        found.push(module);
    }
    Ok(())
}

fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        // A symbolic link here leads to the kernel's sources or build, never to modules.
        if entry.file_type()?.is_dir() {
            index(&path, files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

fn load(name: &str, path: &Path, xz: &[String]) -> Result<Module> {
    let other = |program: &str| vec![program.to_owned(), "-dc".to_owned()];
    let unpack = match path.extension().and_then(|end| end.to_str()) {
        Some("xz") => xz.to_vec(),
        Some("zst") => other("zstd"),
        Some("gz") => other("gzip"),
        _ => Vec::new(),
    };
    let content = match unpack.as_slice() {
        [] => fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        [program, args @ ..] => {
            let output = Command::new(program)
                .args(args)
                .stdin(fs::File::open(path)?)
                .output()
                .with_context(|| format!("{program} is needed to unpack {}", path.display()))?;
            if !output.status.success() {
                bail!("{program} could not unpack {}", path.display());
            }
            output.stdout
        }
    };
    let info = modinfo(&content)
        .with_context(|| format!("{} is not a 64-bit kernel module", path.display()))?;
    let values = |key: &str| -> Vec<String> {
        info.iter()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(str::to_owned)
            .collect()
    };
    let needs = values("depends")
        .iter()
        .flat_map(|list| list.split(','))
        .filter(|need| !need.is_empty())
        .map(|need| need.replace('-', "_"))
        .collect();
    let aliases = values("alias");
    Ok(Module {
        name: name.to_owned(),
        content,
        needs,
        aliases,
    })
}

/// The `key=value` texts in the section `.modinfo` of an ELF file.
fn modinfo(elf: &[u8]) -> Option<Vec<String>> {
    let number = |at: usize, size: usize| -> Option<usize> {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(elf.get(at..at.checked_add(size)?)?);
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, width) = (number(0x28, 8)?, number(0x3a, 2)?);
    let (count, names) = (number(0x3c, 2)?, number(0x3e, 2)?);
    let section = |index: usize| -> Option<(usize, &[u8])> {
        let header = table.checked_add(index.checked_mul(width)?)?;
        let (start, size) = (number(header + 24, 8)?, number(header + 32, 8)?);
        Some((
            number(header, 4)?,
            elf.get(start..start.checked_add(size)?).unwrap_or(&[]),
        ))
    };
    let (_, names) = section(names)?;
    let content = (0..count).filter_map(section).find_map(|(name, content)| {
        names
            .get(name..)?
            .starts_with(b".modinfo\0")
            .then_some(content)
    })?;
    let texts = content.split(|byte| *byte == 0);
    Some(
        texts
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest ELF file with a `.modinfo`: header, names, content, three section headers.
    fn elf(info: &[u8]) -> Vec<u8> {
        let names = b"\0.shstrtab\0.modinfo\0";
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let (names_at, info_at) = (64, 64 + names.len());
        let table = info_at + info.len();
        file[0x28..0x30].copy_from_slice(&(table as u64).to_le_bytes());
        file[0x3a..0x40].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
        file.extend_from_slice(names);
        file.extend_from_slice(info);
        for (name, start, size) in [
            (0, 0, 0),
            (1, names_at, names.len()),
            (11, info_at, info.len()),
        ] {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&u32::to_le_bytes(name));
            header[24..32].copy_from_slice(&(start as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            file.extend_from_slice(&header);
        }
        file
    }

    #[test]
    fn needs_and_aliases_are_read_from_the_module() {
        let found = modinfo(&elf(
            b"license=GPL\0depends=stp,llc\0alias=rtnl-link-bridge\0",
        ))
        .unwrap();
        assert_eq!(found[1], "depends=stp,llc");
        assert!(modinfo(b"\x7fELF\x01").is_none());
        assert!(modinfo(&elf(b"")[..100]).is_none());
    }

    #[test]
    fn each_module_follows_what_it_needs_and_absent_ones_are_left_out() {
        let mut load = |name: &str| {
            let needs: &[&str] = match name {
                "bridge" => &["stp", "llc"],
                "stp" => &["llc"],
                "llc" => &[],
                _ => return Ok(None),
            };
            Ok(Some(Module {
                name: name.to_owned(),
                content: Vec::new(),
                needs: needs.iter().map(|need| (*need).to_owned()).collect(),
                aliases: Vec::new(),
            }))
        };
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        for name in ["bridge", "veth", "llc"] {
            visit(name, &mut seen, &mut found, &mut load).unwrap();
        }
        let names: Vec<&str> = found.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["llc", "stp", "bridge"]);
    }
}
