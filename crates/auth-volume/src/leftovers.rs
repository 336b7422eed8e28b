//! What a sign-in leaves in memory or on disk when it is killed together with its keeper, and how it is removed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// How the name of a sign-in's private directory begins. The sign-in holds a lock on the directory while it uses it.
pub const PRIVATE_HOME: &str = "auth-login-";

/// The directories in which a sign-in may create its private one, the preferred one first.
pub fn bases() -> impl Iterator<Item = PathBuf> {
    let wanted = std::env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    wanted.into_iter().chain(["/dev/shm", "/tmp"].map(PathBuf::from))
}

/// Removes the private directories that no sign-in uses any more. It never waits, and touches nothing else: neither what
/// belongs to another user, nor a link, a pipe or a file with such a name.
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
                // It stays locked until it is gone: a sign-in that has just created it waits, and creates another.
                let _ = wipe(&path);
            }
        }
    }
}

fn is_ours(home: &File) -> bool {
    home.metadata().is_ok_and(|home| home.uid() == nix::unistd::geteuid().as_raw())
}

/// Opens a private directory, so that it can be locked. Never follows a link, and never waits.
///
/// # Errors
/// There is no directory at the path, or it cannot be opened.
pub fn open(home: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(home)
}

/// Removes a private directory with everything in it, if it is there.
///
/// # Errors
/// Something in it cannot be removed.
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
    fn sweeps_what_is_not_in_use_and_nothing_else() {
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
    fn what_only_has_such_a_name_is_left_alone_and_not_waited_for() {
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
