//! The masters: one file for each slot, and what is needed so that a new login can never be lost on its way there.

use std::io;
use std::path::Path;

use durable_file::atomic::{self, Access, Room};
use durable_file::draft::Draft;
use durable_file::private_file::{NotRead, PrivateFile};
use records::login::NotALogin;
use records::{Login, Slot, Timestamp};
use thiserror::Error;

use crate::error::{cannot_read, cannot_write};
use crate::grants::Grants;
use crate::layout::names;
use crate::lock::Locked;
use crate::{Volume, VolumeError};

/// What the proof of a writable volume writes, and what room a new login gets at the least: more than any login is.
static PROOF: [u8; 32 << 10] = [0; 32 << 10];

/// How many older logins are kept beside a master.
const KEPT: usize = 3;

/// What was found in a slot's file.
#[derive(Debug)]
pub struct Master {
    /// Which slot.
    pub slot: Slot,
    /// The login, or why there is none to be had.
    pub login: Result<Login, Unusable>,
    /// Whether others than its owner may read or write it.
    pub too_open: bool,
}

/// Why a slot's file gives no login.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] NotRead),
    /// It can, and is no login.
    #[error(transparent)]
    Content(#[from] NotALogin),
}

/// Room for a slot's next login.
#[derive(Debug)]
pub struct Reserved {
    slot: Slot,
    room: Room,
    is_written: bool,
}

impl Reserved {
    /// The file that is the room until the login takes its place.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.room.draft()
    }

    /// Writes the login into the room, durably; no lock is needed for that. From then on it outlives this process.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn write(&mut self, login: &[u8]) -> Result<(), VolumeError> {
        self.room.write(login).map_err(cannot_write(self.room.draft()))?;
        self.is_written = true;
        Ok(())
    }

    /// Puts the login in its place, durably, whether it could be written into the room or not. May be tried again.
    ///
    /// # Errors
    /// It cannot take its place; what was there before is still there.
    pub fn install(&mut self, locked: &Locked<'_>, login: &[u8]) -> Result<(), VolumeError> {
        let path = locked.volume().layout().master(self.slot);
        let installed = if self.is_written || self.write(login).is_ok() {
            self.room.install(login)
        } else {
            atomic::replace(&path, login, Access::PRIVATE)
        };
        installed.map_err(cannot_write(&path))
    }

    /// Gives the room back, with whatever is in it.
    pub fn discard(self) {
        self.room.discard();
    }
}

impl Volume {
    /// Every slot that has a file, in order.
    ///
    /// # Errors
    /// The directory cannot be read. A slot that cannot is no error: it is one of the answers.
    pub fn masters(&self) -> Result<Vec<Master>, VolumeError> {
        self.masters_and_grants().map(|(masters, _)| masters)
    }

    /// The same, with what is known of the grants, from one look at the directory.
    ///
    /// Without the lock, too, no new login's old grant is seen as ended: the login is in its place before that.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn masters_and_grants(&self) -> Result<(Vec<Master>, Grants), VolumeError> {
        let auth = self.layout().auth();
        let names: Vec<_> = names(auth).map_err(cannot_read(auth))?.collect();
        let grants = Grants::named(auth, names.iter());
        let mut slots: Vec<_> = names.iter().filter_map(|name| Slot::from_file_name(name)).collect();
        slots.sort_unstable();
        Ok((slots.into_iter().map(|slot| self.master(slot)).collect(), grants))
    }

    /// The bytes of one slot's file.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn master_bytes(&self, slot: Slot) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout().master(slot))?.content)
    }

    /// What is in one slot.
    #[must_use]
    pub fn master(&self, slot: Slot) -> Master {
        match PrivateFile::read(&self.layout().master(slot)) {
            Ok(file) => {
                let login = Login::parse(&file.content).map_err(Unusable::from);
                Master { slot, login, too_open: file.is_too_open() }
            }
            Err(e) => Master { slot, login: Err(e.into()), too_open: false },
        }
    }
}

impl Locked<'_> {
    /// Proves that a login could be stored: writes, syncs and renames more bytes than a login has.
    ///
    /// # Errors
    /// It could not.
    pub fn prove_writable(&self) -> Result<(), VolumeError> {
        let auth = self.volume().layout().auth();
        // Under a name of its own: nothing that lies there can be in the way.
        let path = Draft::of(&auth.join(".proof"));
        atomic::replace(&path, &PROOF, Access::PRIVATE).map_err(cannot_write(auth))?;
        std::fs::remove_file(&path).map_err(cannot_write(auth))
    }

    /// Proves that the very file of a slot can be replaced, by replacing it with its own content.
    ///
    /// # Errors
    /// It cannot: it is a mount of its own, or belongs to another user.
    pub fn prove_replaceable(&self, slot: Slot, content: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume().layout().master(slot);
        atomic::prove_replaceable(&path, content).map_err(|cause| cannot_replace(&path, cause))
    }

    /// Stores a login, byte for byte, durably, for its owner's eyes only.
    ///
    /// # Errors
    /// It cannot be written; what was there before is still there.
    pub fn install(&self, slot: Slot, login: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume().layout().master(slot);
        atomic::install(&path, login, Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Takes room for a slot's next login, twice as much as is there now, before the issuer is asked for it.
    ///
    /// # Errors
    /// There is none, or the volume cannot be written.
    pub fn reserve(&self, slot: Slot) -> Result<Reserved, VolumeError> {
        let path = self.volume().layout().master(slot);
        let there = path.symlink_metadata().map_or(0, |file| usize::try_from(file.len()).unwrap_or(0));
        let room = Room::reserve(&path, PROOF.len().max(2 * there)).map_err(cannot_write(&path))?;
        Ok(Reserved { slot, room, is_written: false })
    }

    /// Removes what is in a slot. A directory that is not empty is moved aside instead: it is not ours to empty.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, slot: Slot, now: Timestamp) -> Result<(), VolumeError> {
        let layout = self.volume().layout();
        let path = layout.master(slot);
        let removed = if path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
            let aside = layout.auth().join(format!("{}.removed-{}", slot.file_name(), now.milliseconds()));
            std::fs::remove_dir(&path).or_else(|_| std::fs::rename(&path, aside))
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(|cause| cannot_replace(&path, cause))?;
        atomic::sync_directory(layout.auth()).map_err(cannot_write(&path))
    }

    /// Keeps a login beside the master of a slot that replaces it; the last few are kept.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_beside(&self, slot: Slot, login: &[u8], now: Timestamp) -> Result<String, VolumeError> {
        let auth = self.volume().layout().auth();
        let prefix = format!("{}.before-", slot.file_name());
        let kept = format!("{prefix}{}", now.milliseconds());
        atomic::replace(&auth.join(&kept), login, Access::PRIVATE).map_err(cannot_write(auth))?;
        let mut all: Vec<_> =
            names(auth).map_err(cannot_read(auth))?.filter(|name| name.starts_with(&prefix)).collect();
        all.sort_unstable();
        for oldest in all.iter().take(all.len().saturating_sub(KEPT)) {
            let _ = std::fs::remove_file(auth.join(oldest));
        }
        Ok(kept)
    }

    /// Takes a master's access from everybody but its owner.
    ///
    /// # Errors
    /// It belongs to somebody else, or cannot be read.
    pub fn narrow(&self, slot: Slot) -> Result<(), VolumeError> {
        let path = self.volume().layout().master(slot);
        let file = PrivateFile::read(&path).map_err(|e| cannot_read(&path)(io::Error::other(e)))?;
        file.narrow().map_err(cannot_write(&path))
    }
}

/// What is wrong with one file, and not with the volume as a whole.
fn cannot_replace(path: &Path, cause: io::Error) -> VolumeError {
    match cause.kind() {
        io::ErrorKind::ResourceBusy | io::ErrorKind::PermissionDenied => {
            VolumeError::CannotReplace { path: path.to_owned(), cause }
        }
        _ => cannot_write(path)(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::volume;

    const LOGIN: &[u8] = br#"{"access_token": "at", "account_id": "acct-A"}"#;

    fn listed(volume: &Volume) -> Vec<String> {
        let mut names: Vec<_> = names(volume.layout().auth()).unwrap().collect();
        names.sort();
        names
    }

    #[test]
    fn a_stored_login_is_read_back_and_nothing_else_is_left() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        locked.prove_writable().unwrap();
        locked.install(Slot::FIRST, LOGIN).unwrap();
        locked.prove_replaceable(Slot::FIRST, LOGIN).unwrap();
        let masters = volume.masters().unwrap();
        assert_eq!(masters.len(), 1);
        assert_eq!(masters[0].login.as_ref().unwrap().account.account_id, "acct-A");
        assert_eq!(listed(&volume), [".lock", "auth-1.json"]);
    }

    #[test]
    fn a_whole_draft_of_a_killed_writer_takes_its_place_and_half_of_one_is_removed() {
        let (dir, volume) = volume();
        std::fs::write(dir.path().join("auth-1.json"), "the old one").unwrap();
        let draft = Draft::of(&dir.path().join("auth-1.json"));
        std::fs::write(draft, LOGIN).unwrap();
        std::fs::write(dir.path().join(".auth-2.json.new"), "{\"access_token\": \"ha").unwrap();
        drop(volume.lock().unwrap());
        assert_eq!(std::fs::read(dir.path().join("auth-1.json")).unwrap(), LOGIN);
        assert_eq!(listed(&volume), [".lock", "auth-1.json"]);
    }

    #[test]
    fn a_room_that_is_in_use_is_left_alone_and_a_killed_writers_room_goes() {
        let (_dir, volume) = volume();
        let room = volume.lock().unwrap().reserve(Slot::FIRST).unwrap();
        let mut in_use = volume.lock().unwrap().reserve("2".parse().unwrap()).unwrap();
        in_use.write(LOGIN).unwrap();
        drop(volume.lock().unwrap());
        assert_eq!(listed(&volume).len(), 3, "{:?}", listed(&volume));
        drop((room, in_use));
        drop(volume.lock().unwrap());
        assert_eq!(listed(&volume), [".lock", "auth-2.json"]);
    }

    #[test]
    fn a_draft_that_cannot_be_read_is_left_alone_and_named() {
        let (dir, volume) = volume();
        std::fs::write(dir.path().join("elsewhere"), LOGIN).unwrap();
        std::os::unix::fs::symlink("elsewhere", dir.path().join(".auth-1.json.new")).unwrap();
        let locked = volume.lock().unwrap();
        assert!(locked.notes()[0].contains("may hold the newest login of account-1"), "{:?}", locked.notes());
        assert!(dir.path().join(".auth-1.json.new").symlink_metadata().is_ok());
    }

    #[test]
    fn an_older_draft_of_the_same_account_is_kept_beside_and_of_those_the_last_few() {
        let (dir, volume) = volume();
        let login = |expires: i64, token: &str| {
            format!(r#"{{"access_token": "{token}", "account_id": "a", "expires_at": {expires}}}"#)
        };
        std::fs::write(dir.path().join("auth-1.json"), login(2000, "at-2")).unwrap();
        std::fs::write(dir.path().join(".auth-1.json.new"), login(1000, "at-1")).unwrap();
        let locked = volume.lock().unwrap();
        let master = std::fs::read_to_string(dir.path().join("auth-1.json")).unwrap();
        assert_eq!(master, login(2000, "at-2"));
        for number in 1..10 {
            locked.keep_beside(Slot::FIRST, LOGIN, Timestamp::from_seconds(number)).unwrap();
        }
        let kept = listed(&volume).into_iter().filter(|name| name.contains(".before-")).count();
        assert_eq!(kept, KEPT);
    }

    #[test]
    fn whatever_lies_in_a_slot_can_be_removed() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        let path = dir.path().join("auth-1.json");
        let (full, now) = (|| std::fs::create_dir_all(path.join("x")).unwrap(), Timestamp::from_seconds(1));
        let empty = || std::fs::create_dir(&path).unwrap();
        let link = || std::os::unix::fs::symlink("/nonexistent", &path).unwrap();
        for leave in [&empty as &dyn Fn(), &link, &full] {
            leave();
            locked.remove(Slot::FIRST, now).unwrap();
            assert!(path.symlink_metadata().is_err());
        }
        assert!(dir.path().join("auth-1.json.removed-1000/x").is_dir());
    }
}
