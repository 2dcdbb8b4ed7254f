//! The lab: workloads and scenarios that provoke what tcpress measures.
fn main() {}
