//! Who is this? An owner for every cgroup, network namespace and socket, with where each name came from.

pub mod cgroup_path;
pub mod cgroups;
pub mod owner;
pub mod pod_logs;
pub mod processes;
pub mod resolve;
pub mod sources;

pub use owner::{Owner, OwnerKind, Source};
pub use processes::Descriptor;
pub use resolve::Attributor;
pub use sources::Sources;
