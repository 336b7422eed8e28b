//! The masters, one file for each slot, and how they are replaced, kept and removed.

use std::io;
use std::path::Path;

use durable_file::atomic::{self, Access};
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

/// What the proof of a writable volume writes: more than any login has.
static PROOF: [u8; 32 << 10] = [0; 32 << 10];

/// How many older logins are kept beside a master.
const KEPT: usize = 3;

/// What is in a slot's file.
#[derive(Debug)]
pub struct Master {
    pub slot: Slot,
    /// The login, or why the file gives none.
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
    /// It can be read, and is no login.
    #[error(transparent)]
    Content(#[from] NotALogin),
}

impl Volume {
    /// Every slot that has a file, in order.
    ///
    /// # Errors
    /// The directory cannot be read. A slot whose file cannot be read is no error, but a [`Master`] without a login.
    pub fn masters(&self) -> Result<Vec<Master>, VolumeError> {
        self.masters_and_grants().map(|(masters, _)| masters)
    }

    /// The same, with what is known of the grants, from one reading of the directory.
    ///
    /// Even without the lock the grant of the login that is read is not one that a refresh has ended: the new login takes
    /// its place before the old grant is marked as ended.
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
    /// There is no regular file of a sane size that this user may read.
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
    /// Proves that a login can be stored, by writing, syncing and renaming more bytes than a login has.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn prove_writable(&self) -> Result<(), VolumeError> {
        let auth = self.volume().layout().auth();
        // No other file has this name, so none can be in the way.
        let path = Draft::of(&auth.join(".proof"));
        atomic::replace(&path, &PROOF, Access::PRIVATE).map_err(cannot_write(auth))?;
        std::fs::remove_file(&path).map_err(cannot_write(auth))
    }

    /// Proves that the very file of a slot can be replaced, by replacing it with its own content.
    ///
    /// # Errors
    /// It cannot be replaced: it is a mount of its own, or belongs to another user.
    pub fn prove_replaceable(&self, slot: Slot, content: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume().layout().master(slot);
        atomic::prove_replaceable(&path, content).map_err(|cause| cannot_replace(&path, cause))
    }

    /// Stores a login, byte for byte, durably, readable for its owner only.
    ///
    /// # Errors
    /// The volume cannot be written. The previous master is still there.
    pub fn install(&self, slot: Slot, login: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume().layout().master(slot);
        atomic::install(&path, login, Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Removes what is in a slot. A directory with something in it is moved aside instead, because its content is not ours.
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

    /// Keeps a copy of a login beside the master of its slot, with the last few such copies. Returns the copy's name.
    ///
    /// # Errors
    /// The volume cannot be written.
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

    /// Makes a master accessible for its owner only.
    ///
    /// # Errors
    /// It belongs to another user, or cannot be read.
    pub fn narrow(&self, slot: Slot) -> Result<(), VolumeError> {
        let path = self.volume().layout().master(slot);
        let file = PrivateFile::read(&path).map_err(|e| cannot_read(&path)(io::Error::other(e)))?;
        file.narrow().map_err(cannot_write(&path))
    }
}

/// Distinguishes an error of one file from an error of the volume as a whole.
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
    fn reserved_space_in_use_is_left_alone_and_a_killed_writers_is_removed() {
        let (_dir, volume) = volume();
        let empty = volume.lock().unwrap().reserve(Slot::FIRST).unwrap();
        let mut in_use = volume.lock().unwrap().reserve("2".parse().unwrap()).unwrap();
        in_use.write(LOGIN).unwrap();
        drop(volume.lock().unwrap());
        assert_eq!(listed(&volume).len(), 3, "{:?}", listed(&volume));
        drop((empty, in_use));
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
