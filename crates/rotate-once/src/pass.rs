//! Carrying a plan out.

use auth_volume::atomic::Access;
use auth_volume::published::{self, Found};
use auth_volume::signal::Signal;
use auth_volume::state::Active;
use auth_volume::{Locked, Timestamp, VolumeError};

use crate::decide::{Chosen, Plan, Reason};
use crate::world::Reading;

/// Publishes, remembers, ends the signals, and logs a line for each event.
///
/// The order matters: whoever is killed in between leaves a published record from which the next pass can
/// tell who is active, and signals that it takes again.
///
/// # Errors
/// The volume cannot be written; the last published record is still there.
pub(crate) fn carry_out(
    locked: &Locked<'_>,
    reading: Reading,
    plan: &Plan,
    access: Access,
    now: Timestamp,
    log: &dyn Fn(String),
) -> Result<(), VolumeError> {
    let Reading { world, mut state, signals, too_open, notes } = reading;
    notes.into_iter().for_each(log);
    if signals.iter().any(|taken| taken.signal == Signal::Unreadable) {
        log("the signal could not be read: kept as rotate-now.unreadable, taken for a plain one".to_owned());
    }
    for slot in too_open {
        log(match locked.narrow(slot) {
            Ok(()) => format!("{slot}: others could read its file: narrowed to its owner"),
            Err(e) => format!("{slot}: others can read its file: {e}"),
        });
    }
    for (slot, reason) in plan.passed_over.iter().filter(|(_, reason)| *reason != Reason::NotItsTurn) {
        log(format!("{slot} passed over: {reason}"));
    }
    if let Found::Foreign { why, refresh_token } = &world.published
        && (plan.chosen.is_some() || plan.placeholder)
    {
        log(format!("auth.json was not written by us ({why}): replacing it"));
        if refresh_token.is_some() {
            log(format!("what it held is kept in {}", locked.keep_found(now)?.display()));
        }
    }
    match &plan.chosen {
        Some(chosen) => {
            locked.publish(&published::record(&chosen.login), access)?;
            let Chosen { slot, login, since, .. } = chosen;
            state.active = Some(Active { account: login.account.clone(), slot: *slot, since: *since });
            locked.remember(&state)?;
            log(format!("active {slot} ({})", login.expires()));
        }
        None if plan.placeholder => {
            locked.publish(&published::placeholder(), access)?;
            log("no usable account: published a placeholder, so that LiteLLM can start".to_owned());
        }
        None => {}
    }
    locked.end_signals(signals)
}
