//! The private `CODEX_HOME` of one login: in memory if possible, and removed afterwards whatever happens.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use auth_volume::leftovers::{self, PRIVATE_HOME, wipe};
use auth_volume::reserved_master::ReservedMaster;
use auth_volume::{LoginLock, Volume, clock};
use durable_file::private_file::{NotRead, PrivateFile};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use crate::cleanup::CleanupProcess;

/// `RAMFS_MAGIC` of the kernel's `magic.h`, which nix does not name.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// A new directory for codex, wiped when the login ends, or by the cleanup process if this process is killed.
///
/// It is new each time because codex revokes the tokens of a login that it finds in its home.
#[derive(Debug)]
pub(crate) struct PrivateHome {
    path: PathBuf,
    cleanup: CleanupProcess,
    /// The lock by which other logins know that the directory is in use.
    _in_use: File,
}

impl PrivateHome {
    /// Makes the directory, and removes those of logins that were killed together with their cleanup process.
    ///
    /// # Errors
    /// There is no directory to make it in, or the cleanup process cannot be started.
    pub(crate) fn new(volume: &Volume, login: &LoginLock) -> anyhow::Result<Self> {
        let base = base()?;
        leftovers::sweep();
        let now = clock::now().milliseconds();
        let path = base.join(format!("{PRIVATE_HOME}{}-{now}", std::process::id()));
        // The cleanup process first, so that the directory is removed whenever this process is killed.
        let cleanup =
            CleanupProcess::start(&path, volume, login).context("cannot start the cleanup process")?;
        let in_use = make(&path)?;
        Ok(Self { path, cleanup, _in_use: in_use })
    }

    /// Makes the cleanup process remove the reserved room on the volume as well.
    ///
    /// # Errors
    /// The cleanup process is gone.
    pub(crate) fn include(&mut self, room: &ReservedMaster) -> anyhow::Result<()> {
        self.cleanup.include(room.path()).context("the cleanup process is gone")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of the login that codex wrote.
    ///
    /// # Errors
    /// It wrote none, which happens even if it reports success.
    pub(crate) fn auth_json(&self) -> anyhow::Result<Vec<u8>> {
        match PrivateFile::read(&self.path.join("auth.json")) {
            Ok(file) => Ok(file.content),
            Err(e @ NotRead::Missing) => Err(e).context("codex said it logged in, but wrote no auth.json"),
            Err(e) => Err(e).context("codex said it logged in, but its auth.json is no login"),
        }
    }

    /// Removes the directory and ends the cleanup process.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub(crate) fn wipe(mut self) -> io::Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> io::Result<()> {
        wipe(&self.path)?;
        self.cleanup.dismiss();
        Ok(())
    }
}

impl Drop for PrivateHome {
    fn drop(&mut self) {
        // After a failure here the cleanup process tries once more.
        let _ = self.remove();
    }
}

/// Makes the directory and locks it.
fn make(path: &Path) -> anyhow::Result<File> {
    loop {
        let made = DirBuilder::new().mode(0o700).create(path);
        made.with_context(|| format!("cannot make the private directory {}", path.display()))?;
        let in_use = leftovers::open(path).and_then(|dir| dir.lock().map(|()| dir));
        // A sweep may have come between these lines.
        if !path.exists() {
            continue;
        }
        return in_use.with_context(|| format!("cannot lock {}", path.display()));
    }
}

/// The first writable directory in memory, else the first writable one.
fn base() -> anyhow::Result<PathBuf> {
    let usable: Vec<_> = leftovers::bases().filter(|path| is_writable(path)).collect();
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
