//! Sending: a report to a system that takes it over HTTP. Every try of a message carries the same key, so that a repeat updates
//! rather than multiplies; what cannot be sent waits in a spool.

pub mod address;
pub mod credentials;
mod exchange;
mod failure;
mod jira;
mod message;
pub mod names;
pub mod retry;
mod send;
mod sender;
pub mod spool;
mod trust;

pub use address::Address;
pub use credentials::Credentials;
pub use failure::{Failure, Remedy};
pub use message::{JiraPlace, Message, Protocol};
pub use names::Resolver;
pub use retry::Policy;
pub use send::{Unsent, send};
pub use sender::{Sender, Settings};
pub use spool::Spool;
pub use trust::Trust;
