//! The volume itself. Reading it is free; writing it needs the lock.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::cannot_read;
use crate::{Layout, VolumeError};

/// A volume that can be read.
#[derive(Clone, Debug)]
pub struct Volume {
    layout: Layout,
    is_one_directory: bool,
}

impl Volume {
    /// The volume with this layout.
    ///
    /// # Errors
    /// One of its directories is not there, is no directory, or cannot be read.
    pub fn open(layout: Layout) -> Result<Self, VolumeError> {
        for directory in [layout.auth(), layout.live()] {
            match std::fs::metadata(directory) {
                Ok(metadata) if metadata.is_dir() => {}
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(cannot_read(directory)(e));
                }
                _ => return Err(VolumeError::NotThere(directory.to_owned())),
            }
        }
        let identity = |directory: &Path| std::fs::metadata(directory).map(|it| (it.dev(), it.ino())).ok();
        let is_one_directory = identity(layout.auth()) == identity(layout.live());
        Ok(Self { layout, is_one_directory })
    }

    /// The volume in these directories: that of the logins, and that of the published record if it has one of its own.
    ///
    /// # Errors
    /// As [`Volume::open`].
    pub fn at((auth, live): (PathBuf, Option<PathBuf>)) -> Result<Self, VolumeError> {
        Self::open(Layout::new(auth, live))
    }

    /// Where each of its files is.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether LiteLLM's directory is that of the logins, whatever the paths say. This is the predecessor's layout.
    #[must_use]
    pub fn is_one_directory(&self) -> bool {
        self.is_one_directory
    }
}

#[cfg(test)]
mod tests {
    use records::{Classified as _, ErrorClass};

    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_named_with_what_to_do() {
        let error = Volume::open(Layout::new("/nonexistent".into(), None)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Configuration);
        assert_eq!(
            error.to_string(),
            "/nonexistent is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR"
        );
    }
}
