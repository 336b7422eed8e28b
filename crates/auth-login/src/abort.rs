//! Ends a login that is under way elsewhere: in another terminal, or in another container that shares the volume.

use std::thread::sleep;
use std::time::{Duration, Instant};

use auth_volume::{Volume, VolumeError};
use cli::exit::{Exit, Failure};
use records::{Slot, remedy};

/// How long the login may take to end.
const END_WAIT: Duration = Duration::from_secs(10);

/// How often it is checked whether it has ended.
const CHECK_EVERY: Duration = Duration::from_millis(100);

/// Ends the login into a slot, and gives the outcome in words. If none is under way, that is a success: a script can go
/// on to sign in.
///
/// # Errors
/// The volume cannot be written, or the login does not end.
pub(crate) fn abort(volume: &Volume, slot: Slot) -> Result<String, Failure> {
    if is_over(volume, slot)? {
        // It may be there from an earlier `--abort` that gave up.
        let _ = volume.take_login_abort(slot);
        return Ok(format!("no login into {slot} is under way"));
    }
    volume.ask_login_to_end(slot)?;
    let give_up = Instant::now() + END_WAIT;
    while Instant::now() < give_up {
        sleep(CHECK_EVERY);
        if is_over(volume, slot)? {
            // A login that has seen the request has removed it.
            return Ok(if volume.take_login_abort(slot) {
                format!("{slot}: the login under way ended by itself before it was stopped: see accounts")
            } else {
                format!("{slot}: the login under way was ended; the slot is as it was")
            });
        }
    }
    let seconds = END_WAIT.as_secs();
    let abort = remedy::abort(slot);
    Err(Failure::new(
        Exit::TryAgain,
        format!(
            "{slot}: the login under way has not ended within {seconds} s: run {abort} again, or restart its container"
        ),
    ))
}

fn is_over(volume: &Volume, slot: Slot) -> Result<bool, Failure> {
    match volume.lock_login(slot) {
        Ok(_) => Ok(true),
        Err(VolumeError::LoginUnderWay(_)) => Ok(false),
        Err(e) => Err(e.into()),
    }
}
