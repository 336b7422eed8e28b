//! The file of the audit.

use durable_file::atomic::{self, Access};
use durable_file::private_file::{LARGEST, NotRead, PrivateFile};
use records::audit::{self, AuditEntry};

use crate::error::cannot_write;
use crate::{Locked, VolumeError};

const _: () = assert!((audit::LARGEST as u64) < LARGEST, "what was written can be read");

impl Locked<'_> {
    /// Appends a change to the audit.
    ///
    /// # Errors
    /// The file cannot be read or written. The earlier changes are still in it.
    pub fn append_to_audit(&self, entry: &AuditEntry) -> Result<(), VolumeError> {
        let path = self.volume().layout().audit();
        let before = match PrivateFile::read(&path) {
            Ok(file) => file.content,
            Err(NotRead::Io(cause)) => return Err(VolumeError::CannotRead { path, cause }),
            // It is not a file of ours, and is replaced.
            Err(_) => Vec::new(),
        };
        atomic::replace(&path, &audit::appended(&before, entry), Access::PRIVATE).map_err(cannot_write(&path))
    }
}
