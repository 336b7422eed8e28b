//! rotate-once
fn main() {}
