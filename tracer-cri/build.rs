//! Generates the interface from `proto/api.proto`, with no compiler of Protocol Buffers but a crate.

use std::path::Path;

use anyhow::{Context as _, Result};

const FOLDER: &str = "proto";
const FILE: &str = "api.proto";

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed={FOLDER}");
    let descriptors = protox::compile([Path::new(FOLDER).join(FILE)], [FOLDER])
        .with_context(|| format!("cannot read {FOLDER}/{FILE}"))?;
    tonic_prost_build::configure()
        // A test's runtime answers the few calls that it is asked; the others are not implemented.
        .generate_default_stubs(true)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)
        .context("cannot generate the interface")
}
