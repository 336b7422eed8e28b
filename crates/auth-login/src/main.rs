//! auth-login
fn main() {}
