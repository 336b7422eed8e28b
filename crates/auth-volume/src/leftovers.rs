//! What a login leaves in memory or on disk when it is killed together with its keeper, and how it is removed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// How the name of a login's private directory begins. While it is in use, its login holds a lock on it.
pub const PRIVATE_HOME: &str = "auth-login-";

/// The directories in which a login may make its private one: the wanted one first.
pub fn bases() -> impl Iterator<Item = PathBuf> {
    let wanted = std::env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    wanted.into_iter().chain(["/dev/shm", "/tmp"].map(PathBuf::from))
}

/// Removes the private directories that no login uses any more. Never waits, and touches nothing else: not what
/// belongs to another user, and no link, pipe or file that has such a name.
pub fn sweep() {
    bases().for_each(|base| sweep_in(&base));
}

fn sweep_in(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PRIVATE_HOME)) {
            let path = entry.path();
            if let Ok(home) = open(&path)
                && is_ours(&home)
                && home.try_lock().is_ok()
            {
                // Locked until it is gone: a login that has just made it waits, and makes another.
                let _ = wipe(&path);
            }
        }
    }
}

fn is_ours(home: &File) -> bool {
    home.metadata().is_ok_and(|home| home.uid() == nix::unistd::geteuid().as_raw())
}

/// Opens a private directory, to lock it; neither through a link nor waiting for anything.
///
/// # Errors
/// It is not there, or is no directory.
pub fn open(home: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(home)
}

/// Removes a private directory; one that is gone is wiped.
///
/// # Errors
/// The file system said no.
pub fn wipe(home: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(home) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn sweeps_what_nobody_uses_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name);
        for name in ["auth-login-old", "auth-login-used", "other"] {
            std::fs::create_dir(path(name)).unwrap();
            std::fs::write(path(name).join("auth.json"), "token").unwrap();
        }
        let used = open(&path("auth-login-used")).unwrap();
        used.lock().unwrap();
        sweep_in(base.path());
        assert_eq!(
            ["auth-login-old", "auth-login-used", "other"].map(|name| path(name).exists()),
            [false, true, true]
        );
    }

    #[test]
    fn what_only_has_such_a_name_is_left_alone_and_nobody_waits_for_it() {
        let base = tempfile::tempdir().unwrap();
        let path = |name: &str| base.path().join(name);
        std::fs::create_dir(path("elsewhere")).unwrap();
        std::fs::write(path("elsewhere").join("kept"), "").unwrap();
        std::os::unix::fs::symlink(path("elsewhere"), path("auth-login-link")).unwrap();
        nix::unistd::mkfifo(&path("auth-login-pipe"), Mode::S_IRWXU).unwrap();
        std::fs::write(path("auth-login-file"), "").unwrap();
        sweep_in(base.path());
        for name in ["auth-login-link", "auth-login-pipe", "auth-login-file", "elsewhere/kept"] {
            assert!(path(name).symlink_metadata().is_ok(), "{name}");
        }
    }

    #[test]
    fn another_users_directory_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join("auth-login-theirs");
        std::fs::create_dir(&home).unwrap();
        // Only root can give a directory away.
        if std::os::unix::fs::chown(&home, Some(12345), None).is_ok() {
            sweep_in(base.path());
            assert!(home.exists());
        }
    }
}
