//! Reading a file that only its owner should be able to read.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use records::Timestamp;
use thiserror::Error;

/// The largest file that is read, in bytes; codex writes about 4 KiB.
pub const LARGEST: u64 = 1 << 20;

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum NotRead {
    /// It is not there.
    #[error("not there")]
    Missing,
    /// It is a symbolic link, whose target could be replaced without being noticed.
    #[error("a symbolic link, not a regular file")]
    Symlink,
    /// It is a directory, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is larger than this many bytes.
    #[error("larger than {}", size(*.0))]
    TooLarge(u64),
    /// The file system refused, or failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// A file that was read.
#[derive(Debug)]
pub struct PrivateFile {
    file: File,
    pub content: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
    /// When it was last written, by the file system's clock.
    pub written: Timestamp,
    largest: u64,
}

impl PrivateFile {
    /// Reads a regular file. Never follows a symbolic link, and never waits for a pipe.
    ///
    /// # Errors
    /// There is no regular file of at most [`LARGEST`] bytes that this user may read.
    pub fn read(path: &Path) -> Result<Self, NotRead> {
        Self::read_within(path, LARGEST)
    }

    /// As [`PrivateFile::read`], with another bound.
    ///
    /// # Errors
    /// There is no regular file of at most `largest` bytes that this user may read.
    pub fn read_within(path: &Path, largest: u64) -> Result<Self, NotRead> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
            .map_err(|e| match e.raw_os_error() {
                Some(nix::libc::ENOENT) => NotRead::Missing,
                Some(nix::libc::ELOOP) => NotRead::Symlink,
                _ => NotRead::Io(e),
            })?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(NotRead::NotAFile);
        }
        let expected = usize::try_from(metadata.len().min(largest)).unwrap_or(0);
        let content = content(&mut file, expected, largest)?;
        let mode = metadata.permissions().mode() & 0o7777;
        let written = Timestamp::from_system_time(metadata.modified()?);
        Ok(Self { file, content, mode, written, largest })
    }

    /// Reads the open file once more, whatever has become of its name. Returns whether its content has changed.
    ///
    /// # Errors
    /// It is larger than the bound by now, or the file system fails.
    pub fn read_again(&mut self) -> Result<bool, NotRead> {
        self.file.rewind()?;
        let content = content(&mut self.file, self.content.len(), self.largest)?;
        let before = std::mem::replace(&mut self.content, content);
        Ok(before != self.content)
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether others than the owner may read or write it.
    #[must_use]
    pub fn is_too_open(&self) -> bool {
        self.mode & 0o077 != 0
    }

    /// Removes the access of the group and of others.
    ///
    /// # Errors
    /// The mode cannot be changed: usually the file belongs to another user.
    pub fn narrow(&self) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(self.mode & 0o700))
    }
}

/// The whole content of a file that is expected to have so many bytes.
fn content(file: &mut File, expected: usize, largest: u64) -> Result<Vec<u8>, NotRead> {
    // One byte more, so that one read reaches the end.
    let mut content = Vec::with_capacity(expected + 1);
    if file.take(largest + 1).read_to_end(&mut content)? as u64 > largest {
        return Err(NotRead::TooLarge(largest));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_plain_file_of_a_sane_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::os::unix::fs::symlink("/etc/passwd", path("link")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        File::create(path("large")).unwrap().set_len(LARGEST + 1).unwrap();
        for (name, expected) in [
            ("none", "not there"),
            ("link", "a symbolic link, not a regular file"),
            ("pipe", "not a regular file"),
            (".", "not a regular file"),
            ("large", "larger than 1 MiB"),
        ] {
            assert_eq!(PrivateFile::read(&path(name)).unwrap_err().to_string(), expected, "{name}");
        }
        let mut large = PrivateFile::read_within(&path("large"), LARGEST + 1).unwrap();
        assert_eq!(large.content.len() as u64, LARGEST + 1);
        assert!(!large.read_again().unwrap());
    }

    #[test]
    fn notices_and_narrows_a_mode_that_is_too_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::write(&path, "{}").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let file = PrivateFile::read(&path).unwrap();
        assert!(file.is_too_open());
        file.narrow().unwrap();
        assert!(!PrivateFile::read(&path).unwrap().is_too_open());
    }
}
