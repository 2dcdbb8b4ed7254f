//! What the running kernel is, what it has, and the plan that follows.

pub mod plan;
