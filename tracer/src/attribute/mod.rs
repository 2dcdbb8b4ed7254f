//! Who is this? An owner for every cgroup, network namespace and socket, with where each name came from.

pub mod owner;

pub use owner::{Owner, OwnerKind, Source};
