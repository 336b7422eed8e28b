//! Which user owns a file that root writes: after `kubectl exec` into a root container, the volume's user must be able to
//! use it.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// The user and the group to which a new file is given; none, unless root writes on another user's volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Option<(u32, u32)>);

/// The id of the user as which this process acts.
#[must_use]
pub fn current_user() -> u32 {
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
        Self(owner_of_volume(&of_directory, neighbours.iter().filter_map(|path| metadata(path))))
    }

    /// Gives a file to this owner, and to `group` instead of the owner's if there is one. If the kernel refuses, root
    /// keeps the file.
    pub fn give_to(self, file: &File, group: Option<u32>) {
        if let Some((user, of_owner)) = self.0 {
            let _ = fchown(file, Some(user), Some(group.unwrap_or(of_owner)));
        }
    }
}

/// The directory's owner. If that is root, as with an `fsGroup`: the owner of a file that is there, else the user whose id
/// is that of the `fsGroup`, because charts usually give both the same id.
fn owner_of_volume(directory: &Metadata, neighbours: impl Iterator<Item = Metadata>) -> Option<(u32, u32)> {
    let group = directory.gid();
    let mut users = [directory.uid()].into_iter().chain(neighbours.map(|file| file.uid()));
    let user = users.find(|user| *user != 0).or_else(|| (group != 0).then_some(group))?;
    Some((user, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_decides_before_its_files_and_its_group_last() {
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
        let owner = || owner_of_volume(&of(directory.path()), [of(&file)].into_iter());
        chown(directory.path(), 0, 0);
        assert_eq!(owner(), None, "root's own volume stays root's");
        chown(directory.path(), 0, 2000);
        assert_eq!(owner(), Some((2000, 2000)));
        chown(&file, 65532, 65532);
        assert_eq!(owner(), Some((65532, 2000)));
        chown(directory.path(), 1000, 2000);
        assert_eq!(owner(), Some((1000, 2000)));
    }
}
