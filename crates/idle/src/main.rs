//! idle
fn main() {}
