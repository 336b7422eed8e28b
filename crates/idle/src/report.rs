//! The log line.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a line on standard error. If it cannot be read by anyone, idle goes on.
pub fn report(line: &impl Display) {
    let _ = io::stderr().write_all(format!("idle: {line}\n").as_bytes());
}
