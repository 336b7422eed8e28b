//! Ending a sign-in from another terminal, or from another container that shares the volume.
//!
//! A process in another container cannot send a Unix signal, so it leaves a file beside the sign-in's lock. The sign-in
//! looks for the file, and ends once it has removed it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;

use nix::fcntl::OFlag;
use records::Slot;

use crate::error::cannot_write;
use crate::{Volume, VolumeError};

impl Volume {
    /// Asks the sign-in that is under way to a slot to end.
    ///
    /// # Errors
    /// The volume cannot be written.
    pub fn ask_login_to_end(&self, slot: Slot) -> Result<(), VolumeError> {
        let path = self.layout().login_abort(slot);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let made = options.custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(&path);
        made.map(drop).map_err(cannot_write(&path))
    }

    /// Removes the request to end; false if there was none.
    ///
    /// A sign-in calls this first once it has its lock, so that a request to an earlier one does not end it.
    #[must_use]
    pub fn take_login_abort(&self, slot: Slot) -> bool {
        std::fs::remove_file(self.layout().login_abort(slot)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn a_request_is_taken_once_and_only_for_its_slot() {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(Layout::new(dir.path().to_owned(), None)).unwrap();
        let second = "2".parse().unwrap();
        assert!(!volume.take_login_abort(Slot::FIRST), "there is no request");
        volume.ask_login_to_end(Slot::FIRST).unwrap();
        volume.ask_login_to_end(Slot::FIRST).unwrap();
        assert!(!volume.take_login_abort(second));
        assert!(volume.take_login_abort(Slot::FIRST));
        assert!(!volume.take_login_abort(Slot::FIRST));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
