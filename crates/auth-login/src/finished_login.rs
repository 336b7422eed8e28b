//! Storing a finished login. The person has done their part, so it is kept until it can be stored.

use std::time::{Duration, Instant};

use auth_volume::masters::{Master, Unusable};
use auth_volume::reserved_master::ReservedMaster;
use auth_volume::state_file::StoredState;
use auth_volume::{Locked, Volume, VolumeError, clock};
use cli::log;
use nix::libc::{EDQUOT, ENOSPC};
use records::grant::GrantEnd;
use records::{Login, Slot, Timestamp, remedy};

use crate::COMMAND;
use crate::accept::{Accepted, Refused, accept};
use crate::stop::{Ended, StopRequests};

/// How long another writer may have the lock before that is reported.
const LOCK_NOTICE_AFTER: Duration = Duration::from_secs(10);

/// How often the same hindrance is reported.
const NOTICE_EVERY: Duration = Duration::from_mins(1);

/// How long the lock is waited for before it is checked whether the login is given up.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// How long after a failure of the volume it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A finished login that is not stored yet.
pub(crate) struct FinishedLogin<'a> {
    pub(crate) slot: Slot,
    /// As codex wrote it.
    pub(crate) written: &'a [u8],
    pub(crate) replace: bool,
    /// The room that was reserved before the person went to the browser. It can be used once.
    pub(crate) room: Option<ReservedMaster>,
}

/// Why an attempt to store a login failed.
enum NotStored {
    Refused(Refused),
    /// It may pass.
    Hindered(VolumeError),
}

impl FinishedLogin<'_> {
    /// Stores the login as soon as the volume allows it.
    ///
    /// # Errors
    /// It may not go into the slot, or it was given up.
    pub(crate) fn store(mut self, volume: &Volume, stops: &mut StopRequests<'_>) -> Result<Login, Ended> {
        let mut notice = Notice::default();
        loop {
            let tried = volume.lock_within(LOCK_WAIT).map_err(NotStored::Hindered);
            let hindrance = match tried.and_then(|locked| self.store_in(volume, &locked)) {
                Ok(login) => return Ok(login),
                Err(NotStored::Refused(refused)) => return Err(refused.into()),
                Err(NotStored::Hindered(hindrance)) => hindrance,
            };
            notice.report(volume, &hindrance);
            let pause =
                if matches!(hindrance, VolumeError::Locked(..)) { Duration::ZERO } else { RETRY_AFTER };
            let paused = Instant::now();
            loop {
                if let Some(stop) = stops.arrived_after_login() {
                    return Err(Ended::Stopped(stop));
                }
                if paused.elapsed() >= pause {
                    break;
                }
                stops.wait();
            }
        }
    }

    fn store_in(&mut self, volume: &Volume, locked: &Locked<'_>) -> Result<Login, NotStored> {
        let masters = volume.masters().map_err(NotStored::Hindered)?;
        let now = clock::now();
        let accepted = accept(self.written, self.slot, &masters, self.replace, now);
        let Accepted { login, superseded } = accepted.map_err(NotStored::Refused)?;
        keep_broken_file(volume, locked, self.slot, now);
        self.install(locked).map_err(NotStored::Hindered)?;
        for &other in &superseded {
            match locked.remove(other, now) {
                Ok(()) => log::line(COMMAND, format_args!("{other} held the same account and was removed")),
                Err(e) => log::line(
                    COMMAND,
                    format_args!("{other} holds the same account: {e}: run {}", remedy::remove(other)),
                ),
            }
        }
        let replaced = |master: &&Master| master.slot == self.slot || superseded.contains(&master.slot);
        masters.iter().filter(replaced).for_each(|master| end_grant(locked, master, &login, now));
        forgive(volume, locked, &login);
        Ok(login)
    }

    fn install(&mut self, locked: &Locked<'_>) -> Result<(), VolumeError> {
        if let Some(mut room) = self.room.take() {
            match room.install(locked, self.written) {
                Ok(()) => return Ok(()),
                // Such as when its name was removed. What it takes up is free again for the ordinary way below.
                Err(_) => room.discard(),
            }
        }
        locked.install(self.slot, self.written)
    }
}

/// Keeps a file that is not a login, because it may hold the only copy of a refresh token. If that fails, the new login
/// is stored nevertheless.
fn keep_broken_file(volume: &Volume, locked: &Locked<'_>, slot: Slot, now: Timestamp) {
    let Err(Unusable::Content(why)) = volume.master(slot).login else { return };
    let kept = volume.master_bytes(slot).ok().filter(|content| !content.is_empty());
    match kept.map(|content| locked.keep_beside(slot, &content, now)) {
        Some(Ok(kept)) => log::line(COMMAND, format_args!("{slot} held no login ({why}): kept as {kept}")),
        Some(Err(e)) => {
            log::line(COMMAND, format_args!("{slot} held no login ({why}), and it cannot be kept: {e}"));
        }
        None => {}
    }
}

/// Marks the grant of a login that was replaced, so that neither a refresh that is under way nor a backup sends it
/// again.
fn end_grant(locked: &Locked<'_>, master: &Master, login: &Login, now: Timestamp) {
    let Ok(replaced) = &master.login else { return };
    if replaced.grant() != login.grant()
        && let Err(e) = locked.end_grant(&replaced.grant(), master.slot, &GrantEnd::Used, now)
    {
        log::line(
            COMMAND,
            format_args!("the login is stored, but the old one could not be marked as ended: {e}"),
        );
    }
}

/// Lifts what was held against the account: a cooldown, a grant that has ended. If that cannot be written, the login is
/// stored nevertheless.
fn forgive(volume: &Volume, locked: &Locked<'_>, login: &Login) {
    let forgiven = volume.stored_state().and_then(|StoredState { mut state, predecessor, .. }| {
        let before = state.clone();
        state.reset_after_login(&login.account);
        if predecessor.is_some() || state == before { Ok(()) } else { locked.store_state(&state) }
    });
    if let Err(e) = forgiven {
        log::line(
            COMMAND,
            format_args!("the login is stored, but the account's cooldown could not be lifted: {e}"),
        );
    }
}

/// What is logged while the login waits: each hindrance once, and again each minute.
#[derive(Debug, Default)]
struct Notice {
    hindrance: String,
    since: Option<Instant>,
    logged: Option<Instant>,
}

impl Notice {
    fn report(&mut self, volume: &Volume, hindrance: &VolumeError) {
        let (name, delay) = match hindrance {
            VolumeError::Locked(..) => ("locked".to_owned(), LOCK_NOTICE_AFTER),
            other => (other.to_string(), Duration::ZERO),
        };
        if self.hindrance != name {
            *self = Self { hindrance: name, since: Some(Instant::now()), logged: None };
        }
        let waited = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        if waited >= delay && self.logged.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
            self.logged = Some(Instant::now());
            let why = match hindrance {
                VolumeError::Locked(..) => {
                    let lock = volume.layout().lock();
                    format!("another process has held {} for {} s", lock.display(), waited.as_secs())
                }
                other => format!("{other}: {}it is tried again each second", remedy(other)),
            };
            log::line(
                COMMAND,
                format_args!("the login is finished and waits for the volume: {why}; ^C gives it up"),
            );
        }
    }
}

/// What can be done about it, if that is known.
fn remedy(hindrance: &VolumeError) -> &'static str {
    match hindrance {
        VolumeError::CannotWrite { cause, .. } if matches!(cause.raw_os_error(), Some(ENOSPC | EDQUOT)) => {
            "make room; "
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use nix::libc::{EIO, EROFS};

    use super::*;

    #[test]
    fn only_a_full_volume_needs_room() {
        for (error, expected) in [(ENOSPC, "make room; "), (EDQUOT, "make room; "), (EROFS, ""), (EIO, "")] {
            let cause = io::Error::from_raw_os_error(error);
            assert_eq!(remedy(&VolumeError::CannotWrite { path: "x".into(), cause }), expected, "{error}");
        }
    }
}
