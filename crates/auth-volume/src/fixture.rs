//! A volume for tests.

use crate::{Layout, Volume};

/// An empty one, in a directory that goes with the first value.
pub(crate) fn volume() -> (tempfile::TempDir, Volume) {
    let directory = tempfile::tempdir().unwrap();
    let volume = Volume::open(Layout::new(directory.path().to_owned(), None)).unwrap();
    (directory, volume)
}
