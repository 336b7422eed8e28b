//! Space for a file's next content, taken before that content exists.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::Access;
use crate::atomic::{parent, replace, sync_directory};
use crate::draft::Draft;
use crate::owner::Owner;

/// Space for a file's next content: bytes on the disk, and a name in the directory.
///
/// It is locked for as long as the process lives that reserved it, which distinguishes it from one that was left behind.
#[derive(Debug)]
pub struct ReservedFile {
    path: PathBuf,
    draft: PathBuf,
    file: File,
    /// Removed with the value: it holds nothing that is worth keeping.
    is_empty: bool,
}

impl ReservedFile {
    /// Takes `size` bytes beside `path`.
    ///
    /// # Errors
    /// The disk is full, or the directory cannot be written.
    pub fn reserve(path: &Path, size: usize) -> io::Result<Self> {
        let draft = Draft::of(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let mut reserved = Self { path: path.to_owned(), draft, file, is_empty: true };
        // Where the file system has no locks, the age of the file says whether it is in use.
        let _ = reserved.file.try_lock();
        Owner::of(path).give_to(&reserved.file, None);
        // JSON with spaces behind it is complete, should the process be killed before they are cut off.
        reserved.file.write_all(&vec![b' '; size])?;
        reserved.file.sync_all()?;
        sync_directory(parent(path))?;
        Ok(reserved)
    }

    /// The file that holds the content until it takes its place.
    #[must_use]
    pub fn draft(&self) -> &Path {
        &self.draft
    }

    /// Writes the content into the reserved space, durably. From then on the file outlives the value, because it may be the
    /// only copy.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.is_empty = false;
        // Written over and not truncated first, which would give the space away.
        self.file.rewind()?;
        self.file.write_all(content)?;
        // Should this fail, a few spaces stay behind the content.
        let _ = self.file.set_len(content.len() as u64);
        self.file.sync_all()
    }

    /// Puts the content in its place, durably. If it cannot take its place, what was written stays in the draft, and the
    /// next holder of the lock finishes this. May be tried again.
    ///
    /// # Errors
    /// The file at the path cannot be replaced. It is then still there, whole.
    pub fn install(&mut self, content: &[u8]) -> io::Result<()> {
        match std::fs::rename(&self.draft, &self.path) {
            Ok(()) => sync_directory(parent(&self.path)),
            // A restore, or a process on another node, has removed the draft: the content is still in memory.
            Err(e) if e.kind() == io::ErrorKind::NotFound => replace(&self.path, content, Access::PRIVATE),
            Err(e) => Err(e),
        }
    }

    /// Removes the draft with whatever is in it.
    pub fn discard(mut self) {
        self.is_empty = true;
    }
}

impl Drop for ReservedFile {
    fn drop(&mut self) {
        if self.is_empty {
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::names;

    #[test]
    fn reserved_space_is_filled_or_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::write(&path, "old").unwrap();
        drop(ReservedFile::reserve(&path, 4096).unwrap());
        assert_eq!(names(dir.path()), ["auth-1.json"]);
        let mut reserved = ReservedFile::reserve(&path, 4096).unwrap();
        reserved.write(b"new").unwrap();
        reserved.install(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["auth-1.json"]);
    }

    #[test]
    fn content_survives_the_loss_of_its_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        let mut reserved = ReservedFile::reserve(&path, 4096).unwrap();
        std::fs::remove_file(reserved.draft()).unwrap();
        reserved.write(b"new").unwrap();
        reserved.install(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["auth-1.json"]);
    }

    #[test]
    fn content_that_was_written_stays_in_its_draft_when_it_cannot_take_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::create_dir(&path).unwrap();
        let mut reserved = ReservedFile::reserve(&path, 4096).unwrap();
        reserved.write(b"only copy").unwrap();
        reserved.install(b"only copy").unwrap_err();
        let draft = reserved.draft().to_owned();
        drop(reserved);
        assert_eq!(std::fs::read(draft).unwrap(), b"only copy");
    }
}
