//! Storing a finished login. The person has done their part, so it is kept until the volume takes it.

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
use crate::watch::{Ended, Watch};

/// How long another writer may have the lock before the person hears of it.
const QUIET: Duration = Duration::from_secs(10);

/// How often they hear of the same hindrance.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// How long the lock is waited for before it is looked whether the login is given up.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How long it takes until a volume that failed is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A finished login on its way to its slot.
pub(crate) struct Finished<'a> {
    pub(crate) slot: Slot,
    /// As codex wrote it.
    pub(crate) written: &'a [u8],
    pub(crate) replace: bool,
    /// Held since before the browser; of use once.
    pub(crate) room: Option<ReservedMaster>,
}

/// Why a login is not stored, this time.
enum NotStored {
    Refused(Refused),
    /// May pass.
    Hindered(VolumeError),
}

impl Finished<'_> {
    /// Stores the login, as soon as the volume takes it.
    ///
    /// # Errors
    /// It may not go into the slot, or it was given up.
    pub(crate) fn store(mut self, volume: &Volume, watch: &mut Watch<'_>) -> Result<Login, Ended> {
        let mut complaint = Complaint::default();
        loop {
            let tried = volume.lock_within(LOOK_UP).map_err(NotStored::Hindered);
            let hindrance = match tried.and_then(|locked| self.store_in(volume, &locked)) {
                Ok(login) => return Ok(login),
                Err(NotStored::Refused(refused)) => return Err(refused.into()),
                Err(NotStored::Hindered(hindrance)) => hindrance,
            };
            complaint.about(volume, &hindrance);
            let pause = if matches!(hindrance, VolumeError::Locked(..)) { Duration::ZERO } else { TRY_AGAIN };
            let paused = Instant::now();
            loop {
                if let Some(stop) = watch.give_up() {
                    return Err(Ended::Stopped(stop));
                }
                if paused.elapsed() >= pause {
                    break;
                }
                watch.rest();
            }
        }
    }

    fn store_in(&mut self, volume: &Volume, locked: &Locked<'_>) -> Result<Login, NotStored> {
        let masters = volume.masters().map_err(NotStored::Hindered)?;
        let now = clock::now();
        let accepted = accept(self.written, self.slot, &masters, self.replace, now);
        let Accepted { login, superseded } = accepted.map_err(NotStored::Refused)?;
        keep_what_was_broken(volume, locked, self.slot, now);
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
        // A room that fails, as when its name was removed, is given back: what it took is there for the other way.
        if let Some(mut room) = self.room.take() {
            match room.install(locked, self.written) {
                Ok(()) => return Ok(()),
                // What it took is there for the other way.
                Err(_) => room.discard(),
            }
        }
        locked.install(self.slot, self.written)
    }
}

/// A file that is no login may hold the only copy of a refresh token. That the new login is stored counts more.
fn keep_what_was_broken(volume: &Volume, locked: &Locked<'_>, slot: Slot, now: Timestamp) {
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

/// The grant of a login that was replaced is never to be sent again: not by a refresh that is under way, and not from
/// a backup.
fn end_grant(locked: &Locked<'_>, master: &Master, login: &Login, now: Timestamp) {
    let Ok(replaced) = &master.login else { return };
    if replaced.grant() != login.grant()
        && let Err(e) = locked.end_grant(&replaced.grant(), master.slot, &GrantEnd::Used, now)
    {
        log::line(COMMAND, format_args!("the login is stored, but its old grant is not known as ended: {e}"));
    }
}

/// A new login ends what was held against the account: a cooldown, a dead grant. That it is stored counts more
/// than that this can be written down.
fn forgive(volume: &Volume, locked: &Locked<'_>, login: &Login) {
    let forgiven = volume.stored_state().and_then(|StoredState { mut state, predecessor, .. }| {
        let before = state.clone();
        state.reset_after_login(&login.account);
        if predecessor.is_some() || state == before { Ok(()) } else { locked.store_state(&state) }
    });
    if let Err(e) = forgiven {
        log::line(COMMAND, format_args!("the login is stored, but the rotator's state was not cleared: {e}"));
    }
}

/// What the person hears while they wait: each hindrance once, and again each minute.
#[derive(Debug, Default)]
struct Complaint {
    hindrance: String,
    since: Option<Instant>,
    said: Option<Instant>,
}

impl Complaint {
    fn about(&mut self, volume: &Volume, hindrance: &VolumeError) {
        let (name, quiet) = match hindrance {
            VolumeError::Locked(..) => ("locked".to_owned(), QUIET),
            other => (other.to_string(), Duration::ZERO),
        };
        if self.hindrance != name {
            *self = Self { hindrance: name, since: Some(Instant::now()), said: None };
        }
        let waited = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        if waited >= quiet && self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            self.said = Some(Instant::now());
            let why = match hindrance {
                VolumeError::Locked(..) => {
                    let lock = volume.layout().lock();
                    format!("another process has held {} for {} s", lock.display(), waited.as_secs())
                }
                other => format!("{other}: {}it is tried again each second", make_room(other)),
            };
            log::line(
                COMMAND,
                format_args!("the login is finished and waits for the volume: {why}; ^C gives it up"),
            );
        }
    }
}

/// What the person can do about it, where that is known.
fn make_room(hindrance: &VolumeError) -> &'static str {
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
    fn only_a_full_volume_wants_room() {
        for (error, remedy) in [(ENOSPC, "make room; "), (EDQUOT, "make room; "), (EROFS, ""), (EIO, "")] {
            let cause = io::Error::from_raw_os_error(error);
            assert_eq!(make_room(&VolumeError::CannotWrite { path: "x".into(), cause }), remedy, "{error}");
        }
    }
}
