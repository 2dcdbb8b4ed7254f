//! Who is this? An owner for every cgroup, network namespace and socket, with where each name came from.

mod cgroup_ns;
pub mod cgroup_path;
pub mod cgroups;
pub mod contact;
pub mod cri;
mod faults;
pub mod hierarchies;
pub mod kept;
pub mod live;
pub mod log_watch;
#[cfg(test)]
mod made;
mod names;
pub mod netns;
mod own_cgroup;
pub mod owner;
pub mod pod_logs;
pub mod processes;
mod residents;
pub mod resolve;
pub mod sources;
pub mod workload;

pub use live::Live;
pub use owner::{ContainerFacts, Owner, OwnerKind, PodFacts, Sandbox, Source};
pub use processes::Descriptor;
pub use resolve::Attributor;
pub use sources::Sources;
