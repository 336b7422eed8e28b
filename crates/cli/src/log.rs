//! The log: one line on stderr for each event, which begins with the command's name.

use std::fmt::Display;
use std::io::Write as _;

use records::text;

/// Prints `COMMAND: MESSAGE` on stderr.
///
/// The line is made printable, so that text from a file or a server can neither start another line nor steer a terminal.
pub fn line(command: &str, message: impl Display) {
    let line = text::line(&format!("{command}: {message}")) + "\n";
    // In one piece, because other processes may write there, too. If stderr itself is gone, that cannot be reported.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
