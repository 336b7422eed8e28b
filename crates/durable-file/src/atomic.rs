//! Writing a file so that a reader, a crash or a full disk never meets half of it.
//!
//! A new content has a name of its own process until it takes its place (see [`Draft`]): two writers whose locks do
//! not reach each other never write into one draft, and nothing that lies under a fixed name can be in the way.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};

use crate::draft::Draft;
use crate::owner::Owner;

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
/// # Errors
/// Whatever the file system said. The old file is then still there, whole.
pub fn replace(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let replaced = || {
        let draft = Draft::of(path);
        stage(&draft, content, access, &Owner::of(path))?;
        rename_and_sync(&draft, path).inspect_err(|_| {
            let _ = std::fs::remove_file(&draft);
        })
    };
    match replaced() {
        // A writer on another node took the draft for a dead one's: once more, under another name.
        Err(e) if e.kind() == io::ErrorKind::NotFound => replaced(),
        other => other,
    }
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
    let owner = Owner::of(path);
    match unnamed(parent(path), content, access, &owner).and_then(|file| link(&file, path)) {
        Err(e) if cannot_be_unnamed(&e) => {
            let draft = Draft::of(path);
            named(&draft, content, access, &owner)?;
            let linked = std::fs::hard_link(&draft, path);
            remove_if_there(&draft)?;
            linked?;
        }
        other => other?,
    }
    sync_directory(parent(path))
}

/// Opens a file that is there for its being there, and makes it if it is not. Never through a link.
///
/// # Errors
/// Whatever the file system said.
pub fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    match options.open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.create_new(true).open(path) {
        Ok(file) => {
            Owner::of(path).give(&file, None);
            Ok(file)
        }
        // Another process was quicker.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => options.create_new(false).open(path),
        Err(e) => Err(e),
    }
}

/// Room for a file's next content, proven before that content exists: bytes on the disk, a name in the directory.
///
/// The room is locked for as long as the process lives that made it, so that a room in use is known from one that was
/// left behind.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    draft: PathBuf,
    file: File,
    /// Removed with the value: it holds nothing that is worth keeping.
    is_empty: bool,
}

impl Room {
    /// Takes `size` bytes beside `path`.
    ///
    /// # Errors
    /// Whatever the file system said: there is no room, or no right to it.
    pub fn reserve(path: &Path, size: usize) -> io::Result<Self> {
        let draft = Draft::of(path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let mut room = Self { path: path.to_owned(), draft, file, is_empty: true };
        // Where there are no locks, its age speaks for it.
        let _ = room.file.try_lock();
        Owner::of(path).give(&room.file, None);
        // Spaces: JSON with spaces behind it is whole, should we be killed before they are cut off.
        room.file.write_all(&vec![b' '; size])?;
        room.file.sync_all()?;
        sync_directory(parent(path))?;
        Ok(room)
    }

    /// Where the room is until its content takes its place.
    #[must_use]
    pub fn draft(&self) -> &Path {
        &self.draft
    }

    /// Writes the content into the room, durably. From then on the room outlives the value: it may be the only copy.
    ///
    /// # Errors
    /// Whatever the file system said.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.is_empty = false;
        // Written over, not truncated first, which would give the room away.
        self.file.rewind()?;
        self.file.write_all(content)?;
        // Without this a few spaces stay behind it.
        let _ = self.file.set_len(content.len() as u64);
        self.file.sync_all()
    }

    /// Puts the content in its place, durably. Content that was written stays in the room when it cannot take its
    /// place: the next holder of the lock finishes this. May be tried again.
    ///
    /// # Errors
    /// Whatever the file system said. The old file is then still there, whole.
    pub fn install(&mut self, content: &[u8]) -> io::Result<()> {
        match std::fs::rename(&self.draft, &self.path) {
            Ok(()) => sync_directory(parent(&self.path)),
            // The room is gone, by a restore or another node's hand: the content is still in memory.
            Err(e) if e.kind() == io::ErrorKind::NotFound => replace(&self.path, content, Access::PRIVATE),
            Err(e) => Err(e),
        }
    }

    /// Gives the room back with whatever is in it.
    pub fn discard(mut self) {
        self.is_empty = true;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.is_empty {
            let _ = std::fs::remove_file(&self.draft);
        }
    }
}

/// Proves that the very file at `path` can be replaced, by replacing it with its own content: neither the rights of
/// the directory nor a file of another name tell of a mount, a sticky directory or an immutable file.
///
/// # Errors
/// It cannot. The file is as it was.
pub fn prove_replaceable(path: &Path, content: &[u8]) -> io::Result<()> {
    let mode = path.symlink_metadata()?.permissions().mode() & 0o700;
    replace(path, content, Access { mode, group: None })
}

/// Moves a complete draft to its place, durably.
///
/// # Errors
/// Whatever the file system said.
pub fn rename_and_sync(draft: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(draft, path)?;
    sync_directory(parent(path))
}

/// Makes a change of names in a directory durable.
///
/// # Errors
/// Whatever the file system said.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Puts a complete, durable file at `draft`: without a name until it is whole where the file system can do
/// that, so that a writer killed half-way leaves nothing at all.
fn stage(draft: &Path, content: &[u8], access: Access, owner: &Owner) -> io::Result<()> {
    match unnamed(parent(draft), content, access, owner).and_then(|file| link(&file, draft)) {
        Err(e) if cannot_be_unnamed(&e) => named(draft, content, access, owner),
        other => other,
    }
}

fn unnamed(directory: &Path, content: &[u8], access: Access, owner: &Owner) -> io::Result<File> {
    let mut file =
        OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(directory)?;
    fill(&mut file, content, access, owner)?;
    Ok(file)
}

fn named(path: &Path, content: &[u8], access: Access, owner: &Owner) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fill(&mut file, content, access, owner).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

fn fill(file: &mut File, content: &[u8], access: Access, owner: &Owner) -> io::Result<()> {
    file.write_all(content)?;
    // Group first: giving a file away clears nothing we need, but widening the mode before would let the old
    // group in for a moment.
    owner.give(file, access.group);
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
pub fn remove_if_there(path: &Path) -> io::Result<()> {
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
        let path = dir.path().join(".auth-1.json.x.new");
        named(&path, b"whole", Access::PRIVATE, &Owner::of(&path)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn nothing_under_the_name_of_another_draft_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        std::fs::create_dir(dir.path().join(".auth.json.new")).unwrap();
        replace(&path, b"new", Access::PRIVATE).unwrap();
        assert_eq!(names(dir.path()), [".auth.json.new", "auth.json"]);
    }

    #[test]
    fn reserved_room_is_filled_or_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::write(&path, "old").unwrap();
        drop(Room::reserve(&path, 4096).unwrap());
        assert_eq!(names(dir.path()), ["auth-1.json"]);
        let mut room = Room::reserve(&path, 4096).unwrap();
        room.write(b"new").unwrap();
        room.install(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["auth-1.json"]);
    }

    #[test]
    fn content_survives_the_loss_of_its_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        let mut room = Room::reserve(&path, 4096).unwrap();
        std::fs::remove_file(room.draft()).unwrap();
        room.write(b"new").unwrap();
        room.install(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["auth-1.json"]);
    }

    #[test]
    fn content_that_was_written_stays_in_its_room_when_it_cannot_take_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::create_dir(&path).unwrap();
        let mut room = Room::reserve(&path, 4096).unwrap();
        room.write(b"only copy").unwrap();
        room.install(b"only copy").unwrap_err();
        let draft = room.draft().to_owned();
        drop(room);
        assert_eq!(std::fs::read(draft).unwrap(), b"only copy");
    }

    #[test]
    fn a_file_is_proven_replaceable_by_its_own_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-1.json");
        std::fs::write(&path, "as it is").unwrap();
        prove_replaceable(&path, b"as it is").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"as it is");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(prove_replaceable(&path, b"x").is_err());
    }

    #[test]
    fn keeps_the_old_file_when_the_directory_is_gone() {
        let error = replace(Path::new("/nonexistent/auth.json"), b"new", Access::PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
