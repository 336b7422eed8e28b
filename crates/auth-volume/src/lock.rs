//! The lock of all writers, and the locks of sign-ins to one slot.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use durable_file::atomic::open_private;
use records::Slot;

use crate::error::cannot_write;
use crate::{Volume, VolumeError};

/// How long a command waits for another writer. The lock is never held during network requests, so this is far longer than
/// any writer should take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the lock is tried while another writer holds it.
const RETRY_EVERY: Duration = Duration::from_millis(2);

/// A volume that this process alone may write, until the value is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    volume: &'a Volume,
    _lock: File,
    identity: String,
    notes: Vec<String>,
}

/// The sole right to sign in to one slot, until the value is dropped.
#[derive(Debug)]
pub struct LoginLock {
    path: PathBuf,
    _lock: File,
}

impl Volume {
    /// Waits for other writers, and excludes them until the value is dropped.
    ///
    /// A master that a killed writer had completed and not put in its place is put there now.
    ///
    /// # Errors
    /// The volume cannot be written, or another writer does not finish within 10 s.
    pub fn lock(&self) -> Result<Locked<'_>, VolumeError> {
        self.lock_within(PATIENCE)
    }

    /// As [`Volume::lock`], with another patience.
    ///
    /// # Errors
    /// The volume cannot be written, or another writer does not finish in time.
    pub fn lock_within(&self, patience: Duration) -> Result<Locked<'_>, VolumeError> {
        let path = self.layout().lock();
        let give_up = Instant::now() + patience;
        let lock = loop {
            match exclusive(&path)? {
                Some(lock) => break lock,
                None if Instant::now() >= give_up => {
                    return Err(VolumeError::Locked(path, patience.as_secs()));
                }
                None => sleep(RETRY_EVERY),
            }
        };
        let identity = identity(&lock).map_err(cannot_write(&path))?;
        let mut locked = Locked { volume: self, _lock: lock, identity, notes: Vec::new() };
        locked.notes = locked.settle();
        Ok(locked)
    }

    /// Takes the sole right to sign in to a slot.
    ///
    /// The lock's file is removed when the value is dropped.
    ///
    /// # Errors
    /// Another process has it, or the volume cannot be written.
    pub fn lock_login(&self, slot: Slot) -> Result<LoginLock, VolumeError> {
        let path = self.layout().login_lock(slot);
        let lock = exclusive(&path)?.ok_or(VolumeError::LoginUnderWay(slot))?;
        Ok(LoginLock { path, _lock: lock })
    }
}

impl<'a> Locked<'a> {
    /// The volume that is locked.
    #[must_use]
    pub fn volume(&self) -> &'a Volume {
        self.volume
    }

    /// What was noticed while the work of killed writers was finished, as lines for the log.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The lock that is held, by device and inode. Writers of one volume that hold different locks do not exclude each other.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }
}

impl LoginLock {
    /// Removes the file, for a holder that will not live to drop the value. A file that is left behind is empty and excludes
    /// no process.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for LoginLock {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The lock at a path; `None` if another process holds it. A file that was removed or replaced while it was being locked is
/// no lock, because other processes would lock the file that has its name now.
///
/// # Errors
/// The file cannot be created or locked.
pub fn exclusive(path: &Path) -> Result<Option<File>, VolumeError> {
    loop {
        let lock = open_private(path).map_err(cannot_write(path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(cannot_write(path)(e)),
        }
        if is_still_at(&lock, path).map_err(cannot_write(path))? {
            return Ok(Some(lock));
        }
    }
}

/// The device and inode of an open file, as text.
fn identity(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// Whether the file that has this name now is the one that is open.
pub(crate) fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    let there = std::fs::symlink_metadata(path);
    Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::volume;

    #[test]
    fn one_login_into_a_slot_at_a_time() {
        let (dir, volume) = volume();
        let first = volume.lock_login(Slot::FIRST).unwrap();
        let error = volume.lock_login(Slot::FIRST).unwrap_err();
        assert!(error.to_string().starts_with("another login into account-1 is under way: finish"));
        drop(volume.lock_login("2".parse().unwrap()).unwrap());
        drop(first);
        drop(volume.lock_login(Slot::FIRST).unwrap());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_that_was_removed_or_replaced_is_no_lock() {
        let (dir, volume) = volume();
        let before = volume.lock().unwrap();
        assert!(volume.lock_within(Duration::ZERO).is_err());
        std::fs::remove_file(dir.path().join(".lock")).unwrap();
        let after = volume.lock_within(Duration::ZERO).unwrap();
        assert_ne!(before.identity(), after.identity());
        assert!(volume.lock_within(Duration::ZERO).is_err());
    }
}
