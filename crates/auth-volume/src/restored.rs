//! Whether the volume is known to be an older copy of itself, such as one restored from a backup. Refresh tokens on it may
//! have been used since, so none is sent until an operator has seen to it.

use durable_file::atomic::{self, Access};

use crate::error::cannot_write;
use crate::{Volume, VolumeError};

/// What the mark says to a person who looks into the directory.
const WORDS: &[u8] = b"This volume is an older copy of itself: docs/scale.md says what to do.\n";

impl Volume {
    /// Whether it is known to be an older copy of itself.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.layout().restored().symlink_metadata().is_ok()
    }

    /// Marks it as an older copy of itself, durably.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn mark_restored(&self) -> Result<(), VolumeError> {
        let path = self.layout().restored();
        atomic::replace(&path, WORDS, Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Takes the mark away.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn clear_restored(&self) -> Result<(), VolumeError> {
        let path = self.layout().restored();
        atomic::remove_if_there(&path).map_err(cannot_write(&path))
    }
}
