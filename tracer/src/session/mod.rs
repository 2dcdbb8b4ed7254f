//! One observation from start to end: what is read when, so that a report can be made of it. The edge that
//! ties sources and probes together; it decides nothing about what they mean.

mod baseline;
mod bracket;
mod clocks;
mod close;
mod explain;
mod held;
mod largest;
mod observation;
mod pace;
mod peak;
mod pressed;
mod retire;
mod settings;
mod survey;
mod watch;
mod windows;

pub use bracket::{Bracket, bracket};
pub use clocks::Clocks;
pub use explain::{observer, owners};
pub use held::SINGLY_UP_TO;
pub use observation::{Observation, wall_clock};
pub use pace::Pace;
pub use peak::Peak;
pub use settings::settings;
pub use survey::{Survey, node, survey};
pub use watch::Watch;
pub use windows::{BETWEEN_LOOKS, Tick, Windows};
