//! seed-codex-config
fn main() {}
