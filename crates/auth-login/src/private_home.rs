//! The private `CODEX_HOME` of one login: in memory where there is any, gone afterwards whatever happens.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use auth_volume::private_file::PrivateFile;
use auth_volume::volume::LoginLock;
use auth_volume::{Timestamp, Volume};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use crate::keeper::Keeper;

/// How the directory's name begins.
const PREFIX: &str = "auth-login-";

/// `RAMFS_MAGIC` of the kernel's `magic.h`, which nix does not name.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// A fresh directory for codex, wiped when the login ends, also by a keeper should this process be killed.
///
/// Fresh, because codex revokes the tokens of a login it finds in its home.
#[derive(Debug)]
pub(crate) struct PrivateHome {
    path: PathBuf,
    keeper: Keeper,
    /// Tells other logins that the directory is in use.
    _in_use: File,
}

impl PrivateHome {
    /// Makes the directory, and removes those of logins that were killed together with their keeper.
    ///
    /// # Errors
    /// There is no directory to make it in, or the keeper cannot be started.
    pub(crate) fn new(volume: &Volume, login: &LoginLock) -> anyhow::Result<Self> {
        let base = base()?;
        sweep(&base);
        let now = Timestamp::now().milliseconds();
        let path = base.join(format!("{PREFIX}{}-{now}", std::process::id()));
        // The keeper first, so that there is no moment at which nobody would remove the directory.
        let keeper = Keeper::start(&path, volume, login)
            .context("cannot start the keeper of the private directory")?;
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make the private directory {}", path.display()))?;
        let in_use = File::open(&path).and_then(|dir| dir.lock().map(|()| dir));
        let in_use = in_use.with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { path, keeper, _in_use: in_use })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the login that codex wrote.
    ///
    /// # Errors
    /// It wrote none, which it also does when it says it succeeded.
    pub(crate) fn auth_json(&self) -> anyhow::Result<Vec<u8>> {
        let file = PrivateFile::read(&self.path.join("auth.json"));
        Ok(file.context("codex said it logged in, but wrote no auth.json")?.content)
    }

    /// Removes it all and ends the keeper.
    ///
    /// # Errors
    /// The file system said no.
    pub(crate) fn wipe(mut self) -> io::Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> io::Result<()> {
        wipe(&self.path)?;
        self.keeper.dismiss();
        Ok(())
    }
}

impl Drop for PrivateHome {
    fn drop(&mut self) {
        // After a failure here the keeper tries once more.
        let _ = self.remove();
    }
}

/// Removes a private directory; one that is gone is wiped.
pub(crate) fn wipe(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The first writable directory in memory, else the first writable one.
fn base() -> anyhow::Result<PathBuf> {
    let wanted = std::env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let known = ["/dev/shm", "/tmp"].map(PathBuf::from);
    let usable: Vec<_> = wanted.into_iter().chain(known).filter(|path| is_writable(path)).collect();
    let first = usable.iter().find(|path| is_in_memory(path)).or(usable.first());
    first.cloned().ok_or_else(|| {
        anyhow!("neither TMPDIR nor /dev/shm nor /tmp can be written: mount a memory-backed emptyDir at /tmp")
    })
}

fn is_writable(directory: &Path) -> bool {
    directory.is_dir() && nix::unistd::access(directory, nix::unistd::AccessFlags::W_OK).is_ok()
}

fn is_in_memory(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|fs| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&fs.filesystem_type()))
}

/// Removes what logins left that were killed together with their keeper; those still in use are locked.
fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok()) {
            let _ = wipe(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_what_nobody_uses_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        for name in ["auth-login-old", "auth-login-used", "other"] {
            std::fs::create_dir(base.path().join(name)).unwrap();
            std::fs::write(base.path().join(name).join("auth.json"), "token").unwrap();
        }
        let used = File::open(base.path().join("auth-login-used")).unwrap();
        used.lock().unwrap();
        sweep(base.path());
        let left = |name: &str| base.path().join(name).exists();
        assert_eq!([left("auth-login-old"), left("auth-login-used"), left("other")], [false, true, true]);
    }
}
