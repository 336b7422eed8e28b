//! Writing a file so that a reader, a crash or a full disk never meets half of it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};

/// Who may read a file: its mode and, when given, its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permission bits, set whatever the umask.
    pub mode: u32,
    /// Group id; `None` leaves the one the directory gives.
    pub group: Option<u32>,
}

impl Access {
    /// Only the owner: what every file with a token gets unless somebody asks for more.
    pub const PRIVATE: Self = Self { mode: 0o600, group: None };
}

/// Replaces the file at `path`, or makes it: temporary file beside it, fsync, rename, fsync of the directory.
///
/// One writer at a time: the temporary name is always the same ([`staged`]), so that a writer that was killed
/// leaves one known file and not a new one each time.
///
/// # Errors
/// Whatever the file system said. The old file is then still there, whole.
pub fn replace(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let staged = staged(path);
    stage(&staged, content, access)?;
    rename_and_sync(&staged, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&staged);
    })
}

/// Like [`replace`], but a file that does not exist yet appears under its own name at once, so that being
/// killed in between leaves nothing under another name.
///
/// # Errors
/// As [`replace`].
pub fn install(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return replace(path, content, access);
    }
    match create(path, content, access) {
        // Some file systems have no links either.
        Err(e) if e.raw_os_error() == Some(Errno::EPERM as i32) => replace(path, content, access),
        other => other,
    }
}

/// Makes a file that appears whole, and never takes the place of one that is there.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`], or whatever the file system said.
pub fn create(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    match unnamed(parent(path), content, access).and_then(|file| link(&file, path)) {
        Err(e) if cannot_be_unnamed(&e) => {
            let staged = staged(path);
            remove_if_there(&staged)?;
            named(&staged, content, access)?;
            let linked = std::fs::hard_link(&staged, path);
            remove_if_there(&staged)?;
            linked?;
        }
        other => other?,
    }
    sync_directory(parent(path))
}

/// Room for a file's next content, proven before that content exists: bytes on the disk, a name in the directory.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    staged: PathBuf,
    file: File,
    is_filled: bool,
}

impl Room {
    /// Takes `size` bytes beside `path`.
    ///
    /// # Errors
    /// Whatever the file system said: there is no room, or no right to it.
    pub fn reserve(path: &Path, size: usize) -> io::Result<Self> {
        let staged = staged(path);
        remove_if_there(&staged)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged)?;
        let mut room = Self { path: path.to_owned(), staged, file, is_filled: false };
        // Spaces: JSON with spaces behind it is whole, should we be killed before they are cut off.
        room.file.write_all(&vec![b' '; size])?;
        room.file.sync_all()?;
        sync_directory(parent(path))?;
        Ok(room)
    }

    /// The file that holds the room.
    #[must_use]
    pub fn staged(&self) -> &Path {
        &self.staged
    }

    /// Puts the content into the room, and the file in its place. Content that is whole stays in the room when it
    /// cannot take its place: it may be the only copy, and whoever next holds the lock finishes this.
    ///
    /// # Errors
    /// Whatever the file system said. Only if the content could not be written at all, the old file is all there is.
    pub fn fill(mut self, content: &[u8]) -> io::Result<()> {
        self.is_filled = true;
        if self.write(content).is_err() {
            return replace(&self.path, content, Access::PRIVATE);
        }
        let synced = self.file.sync_all();
        std::fs::rename(&self.staged, &self.path)?;
        sync_directory(parent(&self.path)).and(synced)
    }

    fn write(&mut self, content: &[u8]) -> io::Result<()> {
        // Written over, not truncated first, which would give the room away.
        self.file.rewind()?;
        self.file.write_all(content)?;
        // Without this a few spaces stay behind it.
        let _ = self.file.set_len(content.len() as u64);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.is_filled {
            let _ = std::fs::remove_file(&self.staged);
        }
    }
}

/// The name a new content of `path` has before it takes its place: `.NAME.new` in the same directory.
#[must_use]
pub fn staged(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// Moves a complete staged file to its place, durably.
///
/// # Errors
/// Whatever the file system said.
pub fn rename_and_sync(staged: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(staged, path)?;
    sync_directory(parent(path))
}

/// Makes a change of names in a directory durable.
///
/// # Errors
/// Whatever the file system said.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Puts a complete, durable file at `staged`: without a name until it is whole where the file system can do
/// that, so that a writer killed half-way leaves nothing at all.
fn stage(staged: &Path, content: &[u8], access: Access) -> io::Result<()> {
    remove_if_there(staged)?;
    match unnamed(parent(staged), content, access).and_then(|file| link(&file, staged)) {
        Err(e) if cannot_be_unnamed(&e) => named(staged, content, access),
        other => other,
    }
}

fn unnamed(directory: &Path, content: &[u8], access: Access) -> io::Result<File> {
    let mut file =
        OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(directory)?;
    fill(&mut file, content, access)?;
    Ok(file)
}

fn named(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fill(&mut file, content, access).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

fn fill(file: &mut File, content: &[u8], access: Access) -> io::Result<()> {
    file.write_all(content)?;
    // Group first: giving a file away clears nothing we need, but widening the mode before would let the old
    // group in for a moment.
    if access.group.is_some() {
        fchown(&*file, None, access.group)?;
    }
    file.set_permissions(Permissions::from_mode(access.mode))?;
    file.sync_all()
}

fn link(file: &File, path: &Path) -> io::Result<()> {
    let open_file = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    nix::unistd::linkat(AT_FDCWD, &open_file, AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?;
    Ok(())
}

/// NFS and some FUSE and overlay file systems have no `O_TMPFILE`; without `/proc` it cannot be given a name.
fn cannot_be_unnamed(e: &io::Error) -> bool {
    e.raw_os_error().map(Errno::from_raw).is_some_and(|errno| {
        matches!(errno, Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT | Errno::EXDEV)
    })
}

/// Removes a file; one that is not there is removed.
///
/// # Errors
/// Whatever the file system said.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        std::fs::write(&path, "old").unwrap();
        replace(&path, b"new", Access { mode: 0o640, group: None }).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o640);
        assert_eq!(names(dir.path()), ["auth.json"]);
    }

    #[test]
    fn installs_a_new_file_and_replaces_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        install(&path, b"first", Access::PRIVATE).unwrap();
        install(&path, b"second", Access::PRIVATE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(dir.path()), ["auth-1.json"]);
    }

    #[test]
    fn creates_only_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rotate-now");
        create(&path, b"first", Access::PRIVATE).unwrap();
        let error = create(&path, b"second", Access::PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(names(dir.path()), ["rotate-now"]);
    }

    #[test]
    fn writes_under_a_name_where_unnamed_files_do_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".auth-1.json.new");
        named(&path, b"whole", Access::PRIVATE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn sweeps_what_a_killed_writer_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        std::fs::write(staged(&path), "half").unwrap();
        replace(&path, b"new", Access::PRIVATE).unwrap();
        assert_eq!(names(dir.path()), ["auth.json"]);
    }

    #[test]
    fn reserved_room_is_filled_or_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::write(&path, "old").unwrap();
        drop(Room::reserve(&path, 4096).unwrap());
        assert_eq!(names(dir.path()), ["auth-1.json"]);
        Room::reserve(&path, 4096).unwrap().fill(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["auth-1.json"]);
    }

    #[test]
    fn keeps_the_old_file_when_the_directory_is_gone() {
        let error = replace(Path::new("/nonexistent/auth.json"), b"new", Access::PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
