//! A container runtime without containers: it speaks the real protocol over a Unix socket, tells of whatever pods it is given,
//! and can misbehave. What it does is decided here and not by time, so that a test of it fails or passes whatever the machine.

pub mod bad;
pub mod pods;
pub mod server;

pub use bad::{BadSocket, Habit};
pub use pods::{RuntimeContainer, RuntimePod};
pub use server::{Forgetter, Manner, Runtime};
