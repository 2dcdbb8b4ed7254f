//! Set-up, virtual machines, tests and demo.
fn main() {}
