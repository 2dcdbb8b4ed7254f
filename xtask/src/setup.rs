//! Brings a Debian or Ubuntu machine that has only Rust to the point where everything here works.
//! The verb `setup` does all of it; the other verbs call the parts they need.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command, time::Instant};

use anyhow::{Result, bail};

use crate::{
    cache::Cache,
    checkers, chromium, guest, kernels, node, process,
    qemu::PROGRAM,
    rust_src::Toolchain,
    tools::{BPF_LINKER, CARGO_DENY},
};

const QEMU_PACKAGE: &str = "qemu-system-x86";

/// One thing that may lack.
struct Piece<'a> {
    name: String,
    present: bool,
    /// What would be done, in words.
    plan: &'static str,
    action: Box<dyn FnOnce() -> Result<()> + 'a>,
}

/// Says what lacks and what will be done, and does it unless this is only a check. Everything is
/// tried even if one piece fails, so that all problems are seen at once.
pub(crate) fn run(list: &str, check: bool) -> Result<i32> {
    let cache = Cache::open()?;
    let toolchain = Toolchain::find()?;
    let pieces = pieces(&cache, &toolchain, list);
    for piece in &pieces {
        let state = if piece.present { "present" } else { "lacking" };
        let plan = if piece.present { "" } else { piece.plan };
        println!(
            "{:<28} {state}{}{plan}",
            piece.name,
            if piece.present { "" } else { ": " }
        );
    }
    let lacking: Vec<Piece<'_>> = pieces.into_iter().filter(|piece| !piece.present).collect();
    if check {
        return Ok(i32::from(!lacking.is_empty()));
    }
    let mut failed = 0;
    let count = lacking.len();
    for (index, piece) in lacking.into_iter().enumerate() {
        println!("[{}/{count}] {}", index + 1, piece.name);
        let start = Instant::now();
        match (piece.action)() {
            Ok(()) => println!("      done in {} s", start.elapsed().as_secs()),
            Err(error) => {
                eprintln!("      failed: {error:#}");
                failed += 1;
            }
        }
    }
    println!("{}", cache.summary());
    if failed > 0 {
        bail!("{failed} of {count} pieces could not be set up; the commands to run are above");
    }
    Ok(0)
}

/// Makes sure that what a build needs is there.
pub(crate) fn build_tools(cache: &Cache) -> Result<()> {
    let toolchain = Toolchain::find()?;
    if !toolchain.has_sources() {
        eprintln!("set-up: rust-src for rustc {}", toolchain.release);
        toolchain.get_sources(cache)?;
    }
    if !BPF_LINKER.present(cache, &toolchain) {
        eprintln!("set-up: bpf-linker, built once");
        BPF_LINKER.build(cache, &toolchain)?;
    }
    Ok(())
}

/// Makes sure that cargo-deny is there.
pub(crate) fn lint_tools(cache: &Cache) -> Result<()> {
    let toolchain = Toolchain::find()?;
    if !CARGO_DENY.present(cache, &toolchain) {
        eprintln!("set-up: cargo-deny, built once");
        CARGO_DENY.build(cache, &toolchain)?;
    }
    Ok(())
}

/// Makes sure that QEMU is there.
pub(crate) fn qemu() -> Result<()> {
    if process::find(PROGRAM).is_some() {
        return Ok(());
    }
    let install = ["install", "--yes", "--no-install-recommends", QEMU_PACKAGE];
    if process::find("apt-get").is_none() {
        bail!("QEMU lacks, and apt-get too: put {PROGRAM} on PATH by this machine's own means");
    }
    // Of all ways to learn who runs us, this one needs no library.
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        bail!(
            "QEMU lacks, and only root can install it:\n  sudo apt-get update\n  \
             sudo apt-get {}",
            install.join(" ")
        );
    }
    eprintln!("set-up: QEMU, from this machine's package sources");
    let apt = |words: &[&str]| {
        process::run(
            Command::new("apt-get")
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update", "--quiet"])?;
    apt(&install)?;
    if process::find(PROGRAM).is_none() {
        bail!("the package {QEMU_PACKAGE} brought no {PROGRAM}");
    }
    Ok(())
}

fn pieces<'a>(cache: &'a Cache, toolchain: &'a Toolchain, list: &'a str) -> Vec<Piece<'a>> {
    let mut pieces = vec![
        Piece {
            name: format!("rust-src {}", toolchain.release),
            present: toolchain.has_sources(),
            plan: "ask rustup for it, else unpack Debian's package into the cache",
            action: Box::new(|| toolchain.get_sources(cache)),
        },
        Piece {
            name: BPF_LINKER.name.to_owned(),
            present: BPF_LINKER.present(cache, toolchain),
            plan: "build it into the cache with cargo install, 1 to 2 minutes",
            action: Box::new(|| BPF_LINKER.build(cache, toolchain)),
        },
        Piece {
            name: CARGO_DENY.name.to_owned(),
            present: CARGO_DENY.present(cache, toolchain),
            plan: "build it into the cache with cargo install, 2 to 4 minutes",
            action: Box::new(|| CARGO_DENY.build(cache, toolchain)),
        },
        Piece {
            name: PROGRAM.to_owned(),
            present: process::find(PROGRAM).is_some(),
            plan: "install Debian's package qemu-system-x86 (as root)",
            action: Box::new(qemu),
        },
        Piece {
            name: "tools for guests".to_owned(),
            present: guest::cached(cache).is_some(),
            plan: "unpack Debian's busybox and iproute2 into the cache, 10 MB",
            action: Box::new(|| guest::resolve(cache).map(|_| ())),
        },
        Piece {
            name: "headless Chromium".to_owned(),
            present: chromium::cached(cache).is_some(),
            plan: "unpack Debian's chromium-headless-shell and its libraries into the cache, 400 MB",
            action: Box::new(|| chromium::resolve(cache).map(|_| ())),
        },
        Piece {
            name: "promtool and kustomize".to_owned(),
            present: checkers::programs_cached(cache),
            plan: "unpack Debian's packages of Prometheus and kustomize into the cache, 170 MB",
            action: Box::new(|| checkers::programs(cache)),
        },
        Piece {
            name: "checkers of PyPI".to_owned(),
            present: checkers::modules_cached(cache),
            plan: "unpack kubernetes-validate and prometheus-client into the cache with pip, 121 MB",
            action: Box::new(|| checkers::modules(cache)),
        },
        Piece {
            name: "disk of a node".to_owned(),
            present: node::cached(cache).is_some(),
            plan: "make it of Debian's containerd, runc, CNI plugins and Redis, 250 MB",
            action: Box::new(|| node::resolve(cache).map(|_| ())),
        },
    ];
    let names: Vec<&str> = match list {
        "all" => kernels::SUPPORTED.to_vec(),
        _ => list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect(),
    };
    for name in names {
        pieces.push(Piece {
            name: format!("kernel {name}"),
            present: kernels::cached(cache, name).is_some(),
            plan: "unpack Debian's newest package of it into the cache, 30 MB",
            action: Box::new(move || kernels::resolve(cache, name, None).map(|_| ())),
        });
    }
    pieces
}
