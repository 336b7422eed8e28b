//! Writing a file so that neither a reader nor a crash nor a full disk leaves half of it visible.
//!
//! New content is in a draft with a name of its own process until it takes its place (see [`Draft`]). So two writers whose
//! locks do not exclude each other never write into one draft, and no file under a fixed name can be in the way.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
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
    /// Permission bits, which are set whatever the umask is.
    pub mode: u32,
    /// Group id; with `None` the file keeps the group that the directory gives it.
    pub group: Option<u32>,
}

impl Access {
    /// For the owner only: every file with a token has this access unless an operator has configured a wider one.
    pub const PRIVATE: Self = Self { mode: 0o600, group: None };
}

/// Replaces or creates the file at `path`: temporary file beside it, fsync, rename, fsync of the directory.
///
/// # Errors
/// The disk is full or fails, or the directory or the file cannot be written. The old file is then still there, whole.
pub fn replace(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    let replaced = || {
        let draft = Draft::of(path);
        stage(&draft, content, access, &Owner::of(path))?;
        rename_and_sync(&draft, path).inspect_err(|_| {
            let _ = std::fs::remove_file(&draft);
        })
    };
    match replaced() {
        // A writer on another node has removed the draft as one that was left behind: once more, under another name.
        Err(e) if e.kind() == io::ErrorKind::NotFound => replaced(),
        other => other,
    }
}

/// As [`replace`], but a file that does not exist yet gets its own name at once, so that a process that is killed in
/// between leaves nothing under another name.
///
/// # Errors
/// As [`replace`].
pub fn install(path: &Path, content: &[u8], access: Access) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return replace(path, content, access);
    }
    match create(path, content, access) {
        // Some file systems have no hard links either.
        Err(e) if e.raw_os_error() == Some(Errno::EPERM as i32) => replace(path, content, access),
        other => other,
    }
}

/// Creates a file that appears whole, and never replaces one that is there.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is one; otherwise as [`replace`].
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

/// Opens a file such as a lock, and creates it if it is not there. Never follows a symbolic link.
///
/// # Errors
/// It cannot be opened or created, or is a symbolic link.
pub fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits());
    match options.open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.create_new(true).open(path) {
        Ok(file) => {
            Owner::of(path).give_to(&file, None);
            Ok(file)
        }
        // Another process has created it meanwhile.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => options.create_new(false).open(path),
        Err(e) => Err(e),
    }
}

/// Proves that the very file at `path` can be replaced, by replacing it with its own content. Neither the mode of the
/// directory nor a file of another name reveals a mount, a sticky directory or an immutable file.
///
/// # Errors
/// It cannot be replaced. The file is as it was.
pub fn prove_replaceable(path: &Path, content: &[u8]) -> io::Result<()> {
    let mode = path.symlink_metadata()?.permissions().mode() & 0o700;
    replace(path, content, Access { mode, group: None })
}

/// Moves a complete draft to its place, durably.
///
/// # Errors
/// The file at the path cannot be replaced, or the directory cannot be synced.
pub fn rename_and_sync(draft: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(draft, path)?;
    sync_directory(parent(path))
}

/// Makes changes of names in a directory durable.
///
/// # Errors
/// The directory cannot be opened, or the disk fails.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Creates a complete, durable file at `draft`. Where the file system can do that, it has no name until it is whole, so
/// that a writer that is killed half-way leaves nothing at all.
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
    // The group before the mode: with the wider mode first, the old group could read the file for a moment.
    owner.give_to(file, access.group);
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

/// NFS and some FUSE and overlay file systems have no `O_TMPFILE`; without `/proc` an unnamed file cannot get a name.
fn cannot_be_unnamed(e: &io::Error) -> bool {
    e.raw_os_error().map(Errno::from_raw).is_some_and(|errno| {
        matches!(errno, Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT | Errno::EXDEV)
    })
}

/// Removes a file, if it is there.
///
/// # Errors
/// It is there and cannot be removed.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::names;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
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
