//! The log line.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Says one line on stderr. Nobody reading it is no reason to end.
pub fn report(line: &impl Display) {
    let _ = io::stderr().write_all(format!("idle: {line}\n").as_bytes());
}
