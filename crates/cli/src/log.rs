//! The log line: one event, one line on stderr, the command's name first.

use std::fmt::Display;
use std::io::Write as _;

use records::text;

/// Prints `COMMAND: MESSAGE` on stderr.
///
/// Made printable, so that nothing read from a file or a server can start a line of its own or steer a terminal.
pub fn line(command: &str, message: impl Display) {
    let line = text::line(&format!("{command}: {message}")) + "\n";
    // In one piece, for others may write there too. Nobody is left to tell when stderr itself is gone.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
