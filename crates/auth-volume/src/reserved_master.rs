//! Space for a slot's next login, taken before the issuer is asked for it.

use std::path::Path;

use durable_file::ReservedFile;
use durable_file::atomic::{self, Access};
use records::Slot;

use crate::error::cannot_write;
use crate::{Locked, VolumeError};

/// The least space that is taken, in bytes: more than any login has.
const LEAST: usize = 32 << 10;

/// Space for a slot's next login.
#[derive(Debug)]
pub struct ReservedMaster {
    slot: Slot,
    file: ReservedFile,
    is_written: bool,
}

impl Locked<'_> {
    /// Takes space for a slot's next login, twice as much as its master has.
    ///
    /// # Errors
    /// The disk is full, or the volume cannot be written.
    pub fn reserve(&self, slot: Slot) -> Result<ReservedMaster, VolumeError> {
        let path = self.volume().layout().master(slot);
        let size = path.symlink_metadata().map_or(0, |file| usize::try_from(file.len()).unwrap_or(0));
        let file = ReservedFile::reserve(&path, LEAST.max(2 * size)).map_err(cannot_write(&path))?;
        Ok(ReservedMaster { slot, file, is_written: false })
    }
}

impl ReservedMaster {
    /// The file that holds the login until it takes its place.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.draft()
    }

    /// Writes the login into the reserved space, durably. No lock is needed for that, and from then on the login outlives
    /// this process.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn write(&mut self, login: &[u8]) -> Result<(), VolumeError> {
        self.file.write(login).map_err(cannot_write(self.file.draft()))?;
        self.is_written = true;
        Ok(())
    }

    /// Puts the login in its place, durably, whether it could be written into the reserved space or not. May be tried again.
    ///
    /// # Errors
    /// The master cannot be replaced. It is then still there.
    pub fn install(&mut self, locked: &Locked<'_>, login: &[u8]) -> Result<(), VolumeError> {
        let path = locked.volume().layout().master(self.slot);
        let installed = if self.is_written || self.write(login).is_ok() {
            self.file.install(login)
        } else {
            atomic::replace(&path, login, Access::PRIVATE)
        };
        installed.map_err(cannot_write(&path))
    }

    /// Gives the space back, with whatever is in it.
    pub fn discard(self) {
        self.file.discard();
    }
}
