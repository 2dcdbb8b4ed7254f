//! Container images made of what is on this node: the lab's own program, which is also the pause process, and Debian's Redis with
//! the libraries that it needs. One archive holds both, in the form that `docker save` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process::run;

/// The lab's program, started as a recipe or as the pause process.
pub(super) const LAB: &str = "localhost/lab:1";
/// redis-server.
pub(super) const REDIS: &str = "localhost/redis:1";

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const REDIS_SERVER: &str = "/usr/bin/redis-server";

/// Writes the archive of all images to a folder, which is made; returns its path.
pub(super) fn archive(folder: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    let lab = std::env::current_exe()?;
    let mut redis = vec![
        (PathBuf::from(REDIS_SERVER), PathBuf::from(REDIS_SERVER)),
        (PathBuf::from(LOADER), PathBuf::from(LOADER)),
    ];
    redis.extend(
        libraries(REDIS_SERVER)?
            .into_iter()
            .map(|it| (it.clone(), it)),
    );
    let images = [
        image(folder, LAB, &[(lab, "/lab".into())], &["/lab", "pause"])?,
        image(folder, REDIS, &redis, &[REDIS_SERVER])?,
    ];
    let manifest = serde_json::to_vec(&images)?;
    fs::write(folder.join("manifest.json"), manifest)?;
    let archive = folder.join("images.tar");
    run(Command::new("tar")
        .args(["--create", "--file"])
        .arg(&archive)
        .arg("--directory")
        .arg(folder)
        .args(["manifest.json", "lab", "redis"]))
    .context("cannot pack the images")?;
    Ok(archive)
}

/// One image of one layer, in a folder of its own; returns what the manifest says of it.
fn image(
    folder: &Path,
    name: &str,
    files: &[(PathBuf, PathBuf)],
    command: &[&str],
) -> Result<Value> {
    let short = name
        .rsplit_once('/')
        .and_then(|(_, rest)| rest.split_once(':'))
        .map_or(name, |(short, _)| short);
    let root = folder.join(short).join("root");
    for (from, to) in files {
        let to = root.join(to.strip_prefix("/")?);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        // What is linked on the node is a file in the image.
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let layer = folder.join(short).join("layer.tar");
    run(Command::new("tar")
        .args(["--create", "--file"])
        .arg(&layer)
        .arg("--directory")
        .arg(&root)
        .arg("."))
    .with_context(|| format!("cannot pack {}", layer.display()))?;
    fs::remove_dir_all(&root)?;
    let sum = run(Command::new("sha256sum").arg(&layer))?;
    let sum = sum
        .split_whitespace()
        .next()
        .context("sha256sum is silent")?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [command[0]], "Cmd": command[1..]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{sum}")]},
    });
    fs::write(
        folder.join(short).join("config.json"),
        serde_json::to_vec(&config)?,
    )?;
    Ok(json!({
        "Config": format!("{short}/config.json"),
        "RepoTags": [name],
        "Layers": [format!("{short}/layer.tar")],
    }))
}

/// The libraries that a program loads.
fn libraries(program: &str) -> Result<Vec<PathBuf>> {
    let list = run(Command::new(LOADER).args(["--list", program]))?;
    // Lines are "name => path (address)", and for the loader itself and the vdso just "name".
    let path = |line: &str| {
        let (_, rest) = line.split_once(" => ")?;
        rest.split_whitespace().next().map(PathBuf::from)
    };
    Ok(list.lines().filter_map(path).collect())
}
