//! `config.toml` on disk: how it is found, read, locked and written.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cli::exit::{Exit, Failure};
use cli::log::line;
use durable_file::atomic::{self, Access};
use durable_file::private_file::{LARGEST, NotRead, PrivateFile};

use crate::COMMAND;
use crate::merge_error::MergeError;
use crate::seed::{Merged, SeedOptions, merge};

/// As many links in a row as the kernel follows.
const MOST_LINKS: usize = 40;

/// The one file that codex reads.
pub(crate) struct ConfigFile {
    /// Where codex looks for it.
    pub(crate) path: PathBuf,
    /// Where its bytes are: elsewhere if `path` is a symlink, as made by dotfile managers.
    target: PathBuf,
    /// The directory that is made if it is missing, which is elsewhere if the home is a symlink.
    home: PathBuf,
}

impl ConfigFile {
    /// The file in a `CODEX_HOME`, which need not exist yet.
    pub(crate) fn in_home(home: &Path) -> Result<Self, Failure> {
        let path = home.join("config.toml");
        Ok(Self { target: behind_links(&path)?, home: behind_links(home)?, path })
    }

    /// Keeps other processes of this program out until the result is dropped. Makes the directory if it is missing.
    pub(crate) fn lock(&self) -> Result<Option<File>, Failure> {
        let home = self.home.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.home)
            .map_err(|e| unusable(&format!("cannot make the directory {home}"), &e))?;
        let locked = File::open(&self.home).and_then(|directory| directory.lock().map(|()| directory));
        // NFS cannot lock a directory. Without a lock the file is still replaced as a whole, so all that can be lost is
        // one of two merges at the same time.
        Ok(locked
            .inspect_err(|e| line(COMMAND, format_args!("cannot lock {home}: {e}; going on without a lock")))
            .ok())
    }

    /// What the file would be after merging. A missing file counts as empty.
    pub(crate) fn merged(&self, options: &SeedOptions) -> Result<Merged, Failure> {
        let failed = |error: MergeError| Failure::new(Exit::BadConfig, error.line(&self.path));
        let bytes = self.read()?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            let before = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
            failed(MergeError::not_utf8(&before))
        })?;
        let merged = merge(text, options).map_err(failed)?;
        // A larger file could not be read at the next start.
        if merged.text.len() as u64 > LARGEST { Err(self.too_large("would be")) } else { Ok(merged) }
    }

    /// Replaces the file, atomically.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        atomic::replace(&self.target, text.as_bytes(), Access::PRIVATE)
            .map_err(|e| unusable(&format!("cannot write {}", self.path.display()), &e))
    }

    /// The file's mode, if others than its owner may read or write it.
    pub(crate) fn too_open(&self) -> Option<u32> {
        let mode = std::fs::metadata(&self.target).ok()?.permissions().mode() & 0o7777;
        (mode & !Access::PRIVATE.mode != 0).then_some(mode)
    }

    /// Takes all permissions from others than the owner, and logs it.
    pub(crate) fn narrow(&self) {
        let Some(mode) = self.too_open() else { return };
        let path = self.path.display();
        let narrowed = mode & Access::PRIVATE.mode;
        match std::fs::set_permissions(&self.target, Permissions::from_mode(narrowed)) {
            Ok(()) => {
                line(COMMAND, format_args!("narrowed the mode of {path} from {mode:o} to {narrowed:o}"));
            }
            // The mode of a file from a ConfigMap cannot be changed here, and its content may be right.
            Err(e) => line(COMMAND, format_args!("cannot narrow the mode of {path} from {mode:o}: {e}")),
        }
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        match PrivateFile::read(&self.target) {
            Ok(read) => Ok(read.content),
            Err(NotRead::Missing) => Ok(Vec::new()),
            Err(NotRead::TooLarge(_)) => Err(self.too_large("is")),
            Err(NotRead::Symlink | NotRead::NotAFile) => Err(Failure::new(
                Exit::BadConfig,
                format!("{} is not a file; remove it", self.path.display()),
            )),
            Err(NotRead::Io(e)) => Err(unusable(&format!("cannot read {}", self.path.display()), &e)),
        }
    }

    fn too_large(&self, is: &str) -> Failure {
        let path = self.path.display();
        Failure::new(
            Exit::BadConfig,
            format!("{path} {is} larger than 1 MiB: take out what codex does not need, or remove it"),
        )
    }
}

/// Where a path leads. Not `canonicalize`, because a link may point to something that does not exist yet.
fn behind_links(path: &Path) -> Result<PathBuf, Failure> {
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&target) {
            Ok(to) => target = target.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(target),
        }
    }
    Err(Failure::new(
        Exit::BadConfig,
        format!("{} leads through too many symlinks; remove it", path.display()),
    ))
}

fn unusable(what: &str, e: &io::Error) -> Failure {
    Failure::new(
        Exit::CannotWrite,
        format!("{what}: {e}; mount a CODEX_HOME that this user can write, with space left"),
    )
}
