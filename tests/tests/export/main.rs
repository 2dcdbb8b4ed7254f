//! Sending reports to a real HTTP server in the test's own process, with and without encryption, as good and as bad as servers are:
//! nothing is lost, and nothing is there twice. The command line is tried as well, in a root directory that holds nothing but the binary,
//! the report and the authority.

mod bad;
mod cli;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/folder.rs"]
mod folder;
mod good;
mod jira;
mod keys;
mod root;
mod server;
mod spool;
mod work;
