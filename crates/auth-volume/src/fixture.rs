//! A volume for tests.

use crate::{Layout, Volume};

/// An empty volume, and its directory, which is removed when the first value is dropped.
pub(crate) fn volume() -> (tempfile::TempDir, Volume) {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::open(Layout::new(directory.path().to_owned(), None)).unwrap();
    (directory, volume)
}
