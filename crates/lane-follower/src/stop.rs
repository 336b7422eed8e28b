//! The end, which waits for nothing: a file is there whole or not at all at any moment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;

/// Ends the process on SIGTERM and SIGINT, which as PID 1 it would not hear of otherwise.
///
/// # Errors
/// The kernel gives no signals.
pub(crate) fn on_signals(exit_code: i32) -> io::Result<()> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGTERM, SIGINT] {
        register_conditional_shutdown(signal, exit_code, Arc::clone(&always))?;
    }
    Ok(())
}
