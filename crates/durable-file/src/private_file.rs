//! Reading a file that only its owner should be able to read.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use records::Timestamp;
use thiserror::Error;

/// The largest file that is read; codex writes about 4 KiB.
pub const LARGEST: u64 = 1 << 20;

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum NotRead {
    /// It is not there.
    #[error("not there")]
    Missing,
    /// It is a symbolic link, which would let its target be replaced behind our back.
    #[error("a symbolic link, not a regular file")]
    Symlink,
    /// It is a directory, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// It is larger than this many bytes.
    #[error("larger than {}", size(*.0))]
    TooLarge(u64),
    /// The file system said no.
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
    /// All of it.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// When it was last written, by the file system's clock.
    pub written: Timestamp,
    largest: u64,
}

impl PrivateFile {
    /// Reads a regular file, never through a symbolic link and never waiting on a pipe.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn read(path: &Path) -> Result<Self, NotRead> {
        Self::read_within(path, LARGEST)
    }

    /// The same for a file that may be larger, or must be smaller.
    ///
    /// # Errors
    /// See [`NotRead`].
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

    /// Reads it once more, whatever has become of its name; true if something else is in it now.
    ///
    /// # Errors
    /// See [`NotRead`].
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

    /// Whether anybody but the owner may read or write it.
    #[must_use]
    pub fn is_too_open(&self) -> bool {
        self.mode & 0o077 != 0
    }

    /// Takes the group's and the others' access away.
    ///
    /// # Errors
    /// The file system said no: usually the file belongs to another user.
    pub fn narrow(&self) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(self.mode & 0o700))
    }
}

/// All of a file that is thought to hold so many bytes.
fn content(file: &mut File, bytes: usize, largest: u64) -> Result<Vec<u8>, NotRead> {
    // One more than it holds, so that one read sees its end.
    let mut content = Vec::with_capacity(bytes + 1);
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
    fn sees_and_mends_a_mode_that_is_too_open() {
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
