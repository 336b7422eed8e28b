//! Standard output, whose reader may go away.

use std::io::{self, Write as _};

use auth_volume::exit::{Exit, Failure};

/// Writes to stdout; false when nobody listens any more, which is no failure.
pub(crate) fn say(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {e}"))),
    }
}
