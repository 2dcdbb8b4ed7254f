//! Container runtimes, good and bad, at a socket: the names are there, or the gap is told, and nobody waits longer than one asking
//! may take. No root, no pods; the tables are made by hand where the machine would show cgroups.

mod bad;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/folder.rs"]
mod folder;
mod good;
mod node;
mod whole;
