//! Incidents: one report for each, written anew until it is over, in a folder of bounded size.

mod folder;
mod follow;

pub use folder::{Folder, Kept};
pub use follow::Following;
