//! Whose a file becomes that root writes: the volume's user goes on with it after `kubectl exec` into a root container.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// The user and the group that a new file gets; none, unless root writes on another user's volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Option<(u32, u32)>);

/// The number of the user that this process acts as.
#[must_use]
pub fn user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

impl Owner {
    /// The owner that a file written at `path` is to have.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if !nix::unistd::geteuid().is_root() {
            return Self(None);
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        let metadata = |path: &Path| path.symlink_metadata().ok();
        let Some(of_directory) = metadata(directory) else { return Self(None) };
        let neighbours = [path.to_owned(), directory.join(".lock"), directory.join("auth-1.json")];
        Self(heir(&of_directory, neighbours.iter().filter_map(|path| metadata(path))))
    }

    /// Gives a file to its owner; `group` goes before the owner's. Where the kernel refuses, root keeps it.
    pub fn give(self, file: &File, group: Option<u32>) {
        if let Some((user, of_owner)) = self.0 {
            let _ = fchown(file, Some(user), Some(group.unwrap_or(of_owner)));
        }
    }
}

/// The directory's owner. If that is root, as with a `fsGroup`, the owner of a file that is there; else the user whose
/// number the `fsGroup` has, as charts have it.
fn heir(directory: &Metadata, neighbours: impl Iterator<Item = Metadata>) -> Option<(u32, u32)> {
    let group = directory.gid();
    let mut users = [directory.uid()].into_iter().chain(neighbours.map(|file| file.uid()));
    let user = users.find(|user| *user != 0).or_else(|| (group != 0).then_some(group))?;
    Some((user, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_speaks_before_its_files_and_its_group_last() {
        let directory = tempfile::tempdir().unwrap();
        let of = |path: &Path| path.metadata().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        if !nix::unistd::geteuid().is_root() {
            assert_eq!(Owner::of(&file), Owner(None));
            return;
        }
        let chown =
            |path: &Path, user, group| std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        let heir = || heir(&of(directory.path()), [of(&file)].into_iter());
        chown(directory.path(), 0, 0);
        assert_eq!(heir(), None, "root's own volume stays root's");
        chown(directory.path(), 0, 2000);
        assert_eq!(heir(), Some((2000, 2000)));
        chown(&file, 65532, 65532);
        assert_eq!(heir(), Some((65532, 2000)));
        chown(directory.path(), 1000, 2000);
        assert_eq!(heir(), Some((1000, 2000)));
    }
}
