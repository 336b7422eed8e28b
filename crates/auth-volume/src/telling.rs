//! The sole right to tell receivers what is the matter, and the memory of what they were told.
//!
//! Apart from the lock of all writers and from the state: a receiver that hangs must hold up nobody who rotates.

use std::fs::File;

use crate::atomic::{self, Access};
use crate::lock::locked;
use crate::private_file::{NotRead, PrivateFile};
use crate::volume::{cannot_read, cannot_write};
use crate::{Volume, VolumeError};

/// The sole right, until the value is dropped.
#[derive(Debug)]
pub struct Telling<'a> {
    volume: &'a Volume,
    _lock: File,
}

impl Volume {
    /// Takes the right to tell; `None` if somebody else is at it.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn lock_telling(&self) -> Result<Option<Telling<'_>>, VolumeError> {
        Ok(locked(&self.layout().telling_lock())?.map(|lock| Telling { volume: self, _lock: lock }))
    }

    /// What was told, byte for byte; nothing, if it is not a file of ours.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn told(&self) -> Result<Vec<u8>, VolumeError> {
        let path = self.layout().told();
        match PrivateFile::read(&path) {
            Ok(file) => Ok(file.content),
            Err(NotRead::Io(cause)) => Err(cannot_read(&path)(cause)),
            Err(_) => Ok(Vec::new()),
        }
    }
}

impl Telling<'_> {
    /// Remembers what was told.
    ///
    /// # Errors
    /// The file system said no; what was remembered before is still there.
    pub fn remember(&self, told: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume.layout().told();
        atomic::replace(&path, told, Access::PRIVATE).map_err(cannot_write(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn one_tells_at_a_time_and_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(Layout::new(dir.path().to_owned(), None)).unwrap();
        let _rotator = volume.lock().unwrap();
        let telling = volume.lock_telling().unwrap().unwrap();
        assert!(volume.lock_telling().unwrap().is_none());
        assert_eq!(volume.told().unwrap(), b"");
        telling.remember(b"{}").unwrap();
        assert_eq!(volume.told().unwrap(), b"{}");
        drop(telling);
        assert!(volume.lock_telling().unwrap().is_some());
    }
}
