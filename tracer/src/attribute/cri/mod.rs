//! What a container runtime tells by its own socket, in the Container Runtime Interface, version 1: names of pods and
//! containers, images, labels and annotations, runtime handlers.
//!
//! Asked are the two lists, which say nothing of cgroups and processes, and only where something is still open the verbose
//! status of a sandbox. Not asked is `GetContainerEvents`: containerd 1.7 has one stream of events for all who listen, so
//! that we would take them from the kubelet.
//!
//! The runtime is a source like others, and may be absent, slow or wrong. A thread of its own asks ([`Reader`]), within one
//! time for everything; answers are bounded in size and number ([`message`]); what does not hold together, or contradicts
//! what the node itself shows, is not believed ([`CriTable`], [`super::Attributor`]). Each of these is a gap in words.

mod failure;
pub mod message;
mod read;
pub mod reader;
pub mod table;

pub use message::{Hints, Listing, SeenContainer, SeenPod, SeenStatus};
pub use reader::{Answer, Reader, Sockets, What};
pub use table::CriTable;
