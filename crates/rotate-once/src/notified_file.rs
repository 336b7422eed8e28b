//! The file that remembers what receivers have been notified of, and the lock of the process that notifies them.
//!
//! Both are apart from the state and the lock of all writers, so that a receiver that hangs delays no rotation.

use std::fs::File;

use auth_volume::error::{cannot_read, cannot_write};
use auth_volume::lock::exclusive;
use auth_volume::{Volume, VolumeError};
use durable_file::{Access, NotRead, PrivateFile, atomic};

/// The sole right to notify, until it is dropped.
#[derive(Debug)]
pub(crate) struct NotifyLock<'a> {
    volume: &'a Volume,
    _lock: File,
}

impl<'a> NotifyLock<'a> {
    /// Takes it; `None` if another process has it.
    pub(crate) fn take(volume: &'a Volume) -> Result<Option<Self>, VolumeError> {
        Ok(exclusive(&volume.layout().notify_lock())?.map(|lock| Self { volume, _lock: lock }))
    }

    /// Remembers what receivers have been notified of.
    pub(crate) fn remember(&self, notified: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume.layout().notified();
        atomic::replace(&path, notified, Access::PRIVATE).map_err(cannot_write(&path))
    }
}

/// The content of the file; empty if it is missing or is no regular file of a reasonable size.
pub(crate) fn read(volume: &Volume) -> Result<Vec<u8>, VolumeError> {
    let path = volume.layout().notified();
    match PrivateFile::read(&path) {
        Ok(file) => Ok(file.content),
        Err(NotRead::Io(cause)) => Err(cannot_read(&path)(cause)),
        Err(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_notifies_at_a_time_and_none_waits() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::at((dir.path().to_owned(), None)).unwrap();
        let _rotator = volume.lock().unwrap();
        let lock = NotifyLock::take(&volume).unwrap().unwrap();
        assert!(NotifyLock::take(&volume).unwrap().is_none());
        assert_eq!(read(&volume).unwrap(), b"");
        lock.remember(b"{}").unwrap();
        assert_eq!(read(&volume).unwrap(), b"{}");
        drop(lock);
        assert!(NotifyLock::take(&volume).unwrap().is_some());
    }
}
