//! The file in which the changes that operators made are written down.

use durable_file::atomic::{self, Access};
use durable_file::private_file::{LARGEST, NotRead, PrivateFile};
use records::audit::{self, Entry};

use crate::error::cannot_write;
use crate::{Locked, VolumeError};

const _: () = assert!((audit::BOUND as u64) < LARGEST, "what is written can be read again");

impl Locked<'_> {
    /// Writes down what somebody did.
    ///
    /// # Errors
    /// The file system said no; what was written down before is still there.
    pub fn write_down(&self, entry: &Entry) -> Result<(), VolumeError> {
        let path = self.volume().layout().audit();
        let before = match PrivateFile::read(&path) {
            Ok(file) => file.content,
            Err(NotRead::Io(cause)) => return Err(VolumeError::CannotRead { path, cause }),
            // Not a file of ours: it gives way.
            Err(_) => Vec::new(),
        };
        atomic::replace(&path, &audit::appended(&before, entry), Access::PRIVATE).map_err(cannot_write(&path))
    }
}
