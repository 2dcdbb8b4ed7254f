//! What the running kernel is, what it has, and the plan that follows.

pub mod btf;
pub mod facts;
pub mod layout;
pub mod plan;

pub use facts::Facts;
pub use plan::Plan;
