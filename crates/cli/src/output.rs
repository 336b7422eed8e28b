//! Standard output, whose reader may go away.

use std::io::{self, Write as _};

use crate::exit::{Exit, Failure};

/// Writes to stdout. Returns false if its reader has gone, which is no failure.
///
/// # Errors
/// It cannot be written for another reason.
pub fn say(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {e}"))),
    }
}
