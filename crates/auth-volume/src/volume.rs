//! The volume itself: reading it is free, writing it needs the lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use thiserror::Error;

use crate::atomic::{self, Access, Room};
use crate::audit::{self, Entry};
use crate::callback::SignOfLife;
use crate::exit::{Exit, Failure};
use crate::login::NotALogin;
use crate::private_file::{NotRead, PrivateFile};
use crate::published::Found;
use crate::signal::Signal;
use crate::state::{self, NotAState, Parsed, Predecessor, State};
use crate::trial::{self, Trial};
use crate::{Layout, Login, Slot, Timestamp};

/// How long a command waits for another writer: longer than any writer should take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What the proof of a writable volume writes: more than any login is.
const PROOF: [u8; 16 << 10] = [0; 16 << 10];

/// How the name of a signal begins that a pass has taken and not yet ended.
const TAKEN: &str = ".rotate-now.taken-";

/// Who may read a signal: the rotator may be another user of the group.
const SIGNAL: Access = Access { mode: 0o660, group: None };

/// A volume that can be read.
#[derive(Clone, Debug)]
pub struct Volume {
    layout: Layout,
}

/// A volume that this process alone may write, until the value is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    volume: &'a Volume,
    _lock: File,
}

/// The sole right to sign in to one slot, until the value is dropped.
#[derive(Debug)]
pub struct LoginLock {
    path: PathBuf,
    _lock: File,
}

/// What is wrong with the volume as a whole.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// The directory is not there.
    #[error("{0} is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR")]
    NotThere(PathBuf),
    /// Something cannot be read.
    #[error("cannot read {path} as user {user}: {cause}", user = user(), path = path.display())]
    CannotRead {
        /// What.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Something cannot be written.
    #[error("cannot write {path} as user {user}: {cause}", user = user(), path = path.display())]
    CannotWrite {
        /// What.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Another writer does not finish.
    #[error("another process has held {0} for {1} s: try again, or look for a command that hangs")]
    Locked(PathBuf, u64),
    /// Another login into the same slot is under way.
    #[error("another login into {0} is under way: finish or end that one first")]
    LoginUnderWay(Slot),
    /// The state is of a later release.
    #[error("{0}: {1}")]
    State(PathBuf, NotAState),
    /// The state is larger than this program ever writes it, and what is remembered in it must not be forgotten.
    #[error(
        "{0} is larger than 16 MiB, which no state of the rotator is: move it away, from a pod with a shell that mounts \
         the volume"
    )]
    StateTooLarge(PathBuf),
}

impl VolumeError {
    /// The code a command ends with because of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotThere(_) | Self::State(..) | Self::StateTooLarge(_) => Exit::BadConfig,
            Self::CannotRead { .. } | Self::CannotWrite { .. } => Exit::CannotWrite,
            Self::Locked(..) | Self::LoginUnderWay(_) => Exit::TryAgain,
        }
    }
}

impl From<VolumeError> for Failure {
    fn from(error: VolumeError) -> Self {
        Self { exit: error.exit(), error: error.into() }
    }
}

/// What was found in a slot's file.
#[derive(Debug)]
pub struct Master {
    /// Which slot.
    pub slot: Slot,
    /// The login, or why there is none to be had.
    pub login: Result<Login, Unusable>,
    /// Whether others than its owner may read or write it.
    pub too_open: bool,
}

/// Why a slot's file gives no login.
#[derive(Debug, Error)]
pub enum Unusable {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] NotRead),
    /// It can, and is no login.
    #[error(transparent)]
    Content(#[from] NotALogin),
}

/// What was found in the state's file.
#[derive(Debug)]
pub struct Remembered {
    /// The state to go on from.
    pub state: State,
    /// The predecessor's state, if that is what the file holds.
    pub predecessor: Option<Predecessor>,
    /// Why it is not the one in the file, if it is not.
    pub note: Option<String>,
}

/// Room for a slot's next login.
#[derive(Debug)]
pub struct Reserved {
    path: PathBuf,
    room: Room,
}

impl Reserved {
    /// Stores the login in it, durably.
    ///
    /// # Errors
    /// The file system said no; what was there before is still there.
    pub fn install(self, login: &[u8]) -> Result<(), VolumeError> {
        self.room.fill(login).map_err(cannot_write(&self.path))
    }
}

/// A signal taken from where it was left.
#[derive(Debug)]
pub struct Taken {
    path: PathBuf,
    /// What it says.
    pub signal: Signal,
    /// When it was left, by the file system's clock.
    pub left_at: Timestamp,
}

impl Taken {
    /// The name under which it was taken, different for every signal.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Volume {
    /// The volume at a layout's directories.
    ///
    /// # Errors
    /// One of them is not there, or is no directory.
    pub fn open(layout: Layout) -> Result<Self, VolumeError> {
        for directory in [layout.auth(), layout.live()] {
            match std::fs::metadata(directory) {
                Ok(metadata) if metadata.is_dir() => {}
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(cannot_read(directory)(e));
                }
                _ => return Err(VolumeError::NotThere(directory.to_owned())),
            }
        }
        Ok(Self { layout })
    }

    /// Where everything lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Every slot that has a file, in order.
    ///
    /// # Errors
    /// The directory cannot be read. A slot that cannot is no error: it is one of the answers.
    pub fn masters(&self) -> Result<Vec<Master>, VolumeError> {
        let slots = self.layout.slots().map_err(cannot_read(self.layout.auth()))?;
        Ok(slots.into_iter().map(|slot| self.master(slot)).collect())
    }

    /// The bytes of one slot's file.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn master_bytes(&self, slot: Slot) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout.master(slot))?.content)
    }

    /// When what LiteLLM is served was written.
    #[must_use]
    pub fn published_at(&self) -> Option<Timestamp> {
        written_at(&self.layout.published())
    }

    /// When the rotator last ended a pass, whether there was anything to publish or not. Before the first one, since
    /// when there is a record: a rotator that never comes must be missed, too.
    #[must_use]
    pub fn last_pass(&self) -> Option<Timestamp> {
        written_at(&self.layout.last_pass()).or_else(|| self.published_at())
    }

    /// Who may read what LiteLLM is served, for those who publish in the rotator's stead: they are not told, and a
    /// record that LiteLLM cannot read would be none. Nothing is learned from a file that somebody else put there.
    #[must_use]
    pub fn published_access(&self) -> Access {
        match std::fs::symlink_metadata(self.layout.published()) {
            Ok(file) if self.published().is_well_formed() => {
                Access { mode: file.mode() & 0o666 | 0o600, group: Some(file.gid()) }
            }
            _ => Access::PRIVATE,
        }
    }

    /// What LiteLLM is served, byte for byte, to see whether it is a login.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn published_bytes(&self) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout.published())?.content)
    }

    /// What a pass that died had put aside of it.
    ///
    /// # Errors
    /// See [`NotRead`].
    pub fn aside_bytes(&self) -> Result<Vec<u8>, NotRead> {
        Ok(PrivateFile::read(&self.layout.published_aside())?.content)
    }

    /// What is in one slot.
    #[must_use]
    pub fn master(&self, slot: Slot) -> Master {
        match PrivateFile::read(&self.layout.master(slot)) {
            Ok(file) => {
                let login = Login::parse(&file.content).map_err(Unusable::from);
                Master { slot, login, too_open: file.is_too_open() }
            }
            Err(e) => Master { slot, login: Err(e.into()), too_open: false },
        }
    }

    /// What the rotator remembers. A state that is lost or broken costs a round of rotation, never a login.
    ///
    /// # Errors
    /// It is of a later release, which knows rules that this one would break; or it is too large, or cannot be read.
    pub fn remembered(&self) -> Result<Remembered, VolumeError> {
        let path = self.layout.state();
        let fresh = |predecessor, note| Ok(Remembered { state: State::default(), predecessor, note });
        let broken =
            |why: &dyn std::fmt::Display| Some(format!("{}: {why}: starting a new one", path.display()));
        match PrivateFile::read_within(&path, state::LARGEST) {
            Ok(file) => match State::parse(&file.content) {
                Ok(Parsed::Ours(state)) => Ok(Remembered { state: *state, predecessor: None, note: None }),
                Ok(Parsed::Predecessors(predecessor)) => {
                    let note = format!("{}: the predecessor's state, taken over", path.display());
                    fresh(Some(predecessor), Some(note))
                }
                Err(e @ NotAState::Newer(_)) => Err(VolumeError::State(path, e)),
                Err(e) => fresh(None, broken(&e)),
            },
            Err(NotRead::Missing) => fresh(None, None),
            Err(NotRead::TooLarge) => Err(VolumeError::StateTooLarge(path)),
            Err(NotRead::Io(cause)) => Err(VolumeError::CannotRead { path, cause }),
            Err(e) => fresh(None, broken(&e)),
        }
    }

    /// What LiteLLM's callback last said of itself; `None` if it never did.
    #[must_use]
    pub fn callback(&self) -> Option<SignOfLife> {
        SignOfLife::parse(&PrivateFile::read(&self.layout.callback()).ok()?.content)
    }

    /// What LiteLLM is served.
    #[must_use]
    pub fn published(&self) -> Found {
        match PrivateFile::read(&self.layout.published()) {
            Ok(file) => Found::judge(&file.content),
            Err(NotRead::Missing) => Found::Nothing,
            Err(_) => Found::Foreign { why: "not a file that can be read" },
        }
    }

    /// The signals that wait, left where they are.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn signals(&self) -> Result<Vec<Taken>, VolumeError> {
        let taken = self.taken_signals()?.into_iter().chain([self.layout.signal()]);
        Ok(read_signals(taken))
    }

    /// Leaves a signal for the rotator, unless one is waiting already: that one wakes it as well.
    ///
    /// # Errors
    /// The file system said no.
    pub fn wake(&self, signal: &[u8]) -> Result<(), VolumeError> {
        let path = self.layout.signal();
        match atomic::create(&path, signal, SIGNAL) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            created => created.map_err(cannot_write(&path))?,
        }
        // Watchers take a file for whole when it is closed after writing, and a link is no writing.
        drop(OpenOptions::new().write(true).open(&path));
        Ok(())
    }

    /// Waits for the other writers and keeps them out until the value is dropped.
    ///
    /// A master that a killed writer had completed but not yet put in place is put there now.
    ///
    /// # Errors
    /// The volume cannot be written, or another writer does not finish within 10 s.
    pub fn lock(&self) -> Result<Locked<'_>, VolumeError> {
        self.lock_within(PATIENCE)
    }

    /// As [`Volume::lock`], with more or less patience.
    ///
    /// # Errors
    /// The volume cannot be written, or another writer does not finish in time.
    pub fn lock_within(&self, patience: Duration) -> Result<Locked<'_>, VolumeError> {
        let path = self.layout.lock();
        let lock = open_lock(&path)?;
        let give_up = Instant::now() + patience;
        while !try_lock(&lock, &path)? {
            if Instant::now() >= give_up {
                return Err(VolumeError::Locked(path, patience.as_secs()));
            }
            sleep(LOOK_AGAIN);
        }
        let locked = Locked { volume: self, _lock: lock };
        locked.settle()?;
        Ok(locked)
    }

    /// Takes the sole right to sign in to a slot.
    ///
    /// # Errors
    /// Somebody else has it, or the volume cannot be written.
    pub fn lock_login(&self, slot: Slot) -> Result<LoginLock, VolumeError> {
        let path = self.layout.login_lock(slot);
        loop {
            let lock = open_lock(&path)?;
            if !try_lock(&lock, &path)? {
                return Err(VolumeError::LoginUnderWay(slot));
            }
            // The holder before us removes the file when done: a lock on a file without that name is no lock.
            let ours = lock.metadata().map_err(cannot_write(&path))?.ino();
            if std::fs::metadata(&path).is_ok_and(|there| there.ino() == ours) {
                return Ok(LoginLock { path, _lock: lock });
            }
        }
    }

    fn taken_signals(&self) -> Result<Vec<PathBuf>, VolumeError> {
        let live = self.layout.live();
        let names = crate::layout::names(live).map_err(cannot_read(live))?;
        let mut taken: Vec<_> = names.filter(|name| name.starts_with(TAKEN)).collect();
        taken.sort_unstable();
        Ok(taken.into_iter().map(|name| live.join(name)).collect())
    }
}

impl LoginLock {
    /// Removes the file, for a holder that will not live to drop the value. One left behind is empty and locks
    /// nobody out.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for LoginLock {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Locked<'_> {
    /// Proves that a login could be stored: writes, syncs and renames more bytes than a login has.
    ///
    /// # Errors
    /// It could not.
    pub fn prove_writable(&self) -> Result<(), VolumeError> {
        for directory in self.volume.layout.directories() {
            let path = directory.join(".proof");
            atomic::replace(&path, &PROOF, Access::PRIVATE).map_err(cannot_write(&path))?;
            std::fs::remove_file(&path).map_err(cannot_write(&path))?;
        }
        Ok(())
    }

    /// Tries out whether the volume's directories can do what writers rely on, and leaves nothing behind.
    #[must_use]
    pub fn try_out(&self) -> Vec<(PathBuf, Trial)> {
        let directories = self.volume.layout.directories();
        directories.map(|directory| (directory.to_owned(), trial::of(directory))).collect()
    }

    /// Stores a login, byte for byte, durably, for its owner's eyes only.
    ///
    /// # Errors
    /// The file system said no; what was there before is still there.
    pub fn install(&self, slot: Slot, login: &[u8]) -> Result<(), VolumeError> {
        let path = self.volume.layout.master(slot);
        atomic::install(&path, login, Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Takes room for a slot's next login, before the issuer is asked for it.
    ///
    /// # Errors
    /// There is none, or the volume cannot be written.
    pub fn reserve(&self, slot: Slot) -> Result<Reserved, VolumeError> {
        let path = self.volume.layout.master(slot);
        let room = Room::reserve(&path, PROOF.len()).map_err(cannot_write(&path))?;
        Ok(Reserved { path, room })
    }

    /// Removes a login.
    ///
    /// # Errors
    /// The file system said no.
    pub fn remove(&self, slot: Slot) -> Result<(), VolumeError> {
        let path = self.volume.layout.master(slot);
        std::fs::remove_file(&path).map_err(cannot_write(&path))?;
        atomic::sync_directory(self.volume.layout.auth()).map_err(cannot_write(&path))
    }

    /// Publishes a record for LiteLLM, and gives what stood there until that moment: a LiteLLM with a refresh token
    /// of its own may have written it after it was last looked at.
    ///
    /// # Errors
    /// The file system said no; the record before is still there.
    pub fn publish(&self, record: &[u8], access: Access) -> Result<Option<PrivateFile>, VolumeError> {
        let path = self.volume.layout.published();
        let aside = self.volume.layout.published_aside();
        // A second name for the file that is about to lose its first. Without one there is only the last look.
        let is_aside = atomic::remove_if_there(&aside).is_ok() && std::fs::hard_link(&path, &aside).is_ok();
        atomic::replace(&path, record, access).map_err(cannot_write(&path))?;
        Ok(is_aside.then(|| PrivateFile::read(&aside).ok()).flatten())
    }

    /// Removes what [`Locked::publish`] put aside, once there is nothing in it that is not stored, and gives what was
    /// written into it meanwhile: whoever opened it when it was the record still could.
    ///
    /// # Errors
    /// The file system said no.
    pub fn end_aside(&self, replaced: Option<PrivateFile>) -> Result<Option<Vec<u8>>, VolumeError> {
        let path = self.volume.layout.published_aside();
        atomic::remove_if_there(&path).map_err(cannot_write(&path))?;
        let Some(mut replaced) = replaced else { return Ok(None) };
        let is_other = replaced.read_again().unwrap_or(false);
        Ok(is_other.then_some(replaced.content))
    }

    /// Keeps a copy of what somebody else left in the published record's place, and says where.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub fn keep_found(&self, now: Timestamp, found: &[u8]) -> Result<PathBuf, VolumeError> {
        let copy = self.volume.layout.auth().join(format!("auth.json.found-{}", now.milliseconds()));
        atomic::replace(&copy, found, Access::PRIVATE).map_err(cannot_write(&copy))?;
        Ok(copy)
    }

    /// Remembers a state.
    ///
    /// # Errors
    /// The file system said no; the state before is still there.
    pub fn remember(&self, state: &State) -> Result<(), VolumeError> {
        let path = self.volume.layout.state();
        atomic::replace(&path, &state.to_bytes(), Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Marks that a pass has ended. Nothing is decided by it, so nobody waits for the disk.
    ///
    /// # Errors
    /// The file system said no.
    pub fn end_pass(&self) -> Result<(), VolumeError> {
        let path = self.volume.layout.last_pass();
        let touched = open_private(&path).and_then(|mark| {
            // The file system's own time, as that of every other file: whoever may write may set this one.
            Ok(futimens(&mark, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW)?)
        });
        touched.map_err(cannot_write(&path))
    }

    /// Writes down what somebody did.
    ///
    /// # Errors
    /// The file system said no; what was written down before is still there.
    pub fn write_down(&self, entry: &Entry) -> Result<(), VolumeError> {
        let path = self.volume.layout.audit();
        let before = match PrivateFile::read(&path) {
            Ok(file) => file.content,
            Err(NotRead::Io(cause)) => return Err(VolumeError::CannotRead { path, cause }),
            // Not a file of ours: it gives way.
            Err(_) => Vec::new(),
        };
        atomic::replace(&path, &audit::appended(&before, entry), Access::PRIVATE).map_err(cannot_write(&path))
    }

    /// Takes a master's access from everybody but its owner.
    ///
    /// # Errors
    /// It belongs to somebody else, or cannot be read.
    pub fn narrow(&self, slot: Slot) -> Result<(), VolumeError> {
        let path = self.volume.layout.master(slot);
        let file = PrivateFile::read(&path).map_err(|e| cannot_read(&path)(io::Error::other(e)))?;
        file.narrow().map_err(cannot_write(&path))
    }

    /// Takes the signals that wait. Moved aside first: one that is left from here on is the next pass's, and
    /// one that was taken by a pass that died is taken again.
    ///
    /// # Errors
    /// The file system said no.
    pub fn take_signals(&self, now: Timestamp) -> Result<Vec<Taken>, VolumeError> {
        let (path, live) = (self.volume.layout.signal(), self.volume.layout.live());
        // Never the same again, for the state remembers by it what has been heard.
        let aside = live.join(format!("{TAKEN}{}-{}", now.milliseconds(), std::process::id()));
        match std::fs::rename(&path, aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path)(e)),
            _ => Ok(read_signals(self.volume.taken_signals()?)),
        }
    }

    /// Ends signals whose effect is on the volume. One that made no sense stays to be looked at, the last one.
    ///
    /// # Errors
    /// The file system said no.
    pub fn end_signals(&self, signals: Vec<Taken>) -> Result<(), VolumeError> {
        for Taken { path, signal, .. } in signals {
            let ended = match signal {
                Signal::Unreadable { .. } => {
                    std::fs::rename(&path, self.volume.layout.live().join("rotate-now.unreadable"))
                }
                _ => std::fs::remove_file(&path),
            };
            ended.map_err(cannot_write(&path))?;
        }
        Ok(())
    }

    /// Finishes what a killed writer had begun. A staged master that is whole was meant to replace the one
    /// that is there, and may hold the only copy of its refresh token; one that is not whole never counted.
    fn settle(&self) -> Result<(), VolumeError> {
        let layout = &self.volume.layout;
        for slot in layout.staged_slots().map_err(cannot_read(layout.auth()))? {
            let path = layout.master(slot);
            let staged = atomic::staged(&path);
            let whole = PrivateFile::read(&staged).is_ok_and(|file| Login::parse(&file.content).is_ok());
            let settled =
                if whole { atomic::rename_and_sync(&staged, &path) } else { std::fs::remove_file(&staged) };
            settled.map_err(cannot_write(&path))?;
        }
        for path in [layout.state(), layout.published(), layout.audit()] {
            atomic::remove_if_there(&atomic::staged(&path)).map_err(cannot_write(&path))?;
        }
        Ok(())
    }
}

fn read_signals(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Taken> {
    let read = |path: PathBuf| match PrivateFile::read(&path) {
        Ok(file) => {
            let signal = Signal::parse(&file.content, file.written);
            Some(Taken { path, signal, left_at: file.written })
        }
        Err(NotRead::Missing) => None,
        Err(_) => {
            let left_at = Timestamp::now();
            Some(Taken { path, signal: Signal::Unreadable { at: left_at }, left_at })
        }
    };
    paths.into_iter().filter_map(read).collect()
}

fn written_at(path: &Path) -> Option<Timestamp> {
    Some(Timestamp::from_system_time(std::fs::symlink_metadata(path).ok()?.modified().ok()?))
}

pub(crate) fn open_lock(path: &Path) -> Result<File, VolumeError> {
    open_private(path).map_err(cannot_write(path))
}

/// A file that is there for its being there, made if it is not.
fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
}

pub(crate) fn try_lock(lock: &File, path: &Path) -> Result<bool, VolumeError> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(cannot_write(path)(e)),
    }
}

pub(crate) fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotRead { path, cause }
}

pub(crate) fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    |cause| VolumeError::CannotWrite { path, cause }
}

fn user() -> nix::unistd::Uid {
    nix::unistd::geteuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &[u8] = br#"{"access_token": "at", "account_id": "acct-A"}"#;

    fn volume() -> (tempfile::TempDir, Volume) {
        let dir = tempfile::tempdir().unwrap();
        let volume = Volume::open(Layout::new(dir.path().to_owned(), None)).unwrap();
        (dir, volume)
    }

    fn names(volume: &Volume) -> Vec<String> {
        let mut names: Vec<_> = crate::layout::names(volume.layout.auth()).unwrap().collect();
        names.sort();
        names
    }

    #[test]
    fn a_stored_login_is_read_back_and_nothing_else_is_left() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        locked.prove_writable().unwrap();
        locked.install(Slot::FIRST, LOGIN).unwrap();
        let masters = volume.masters().unwrap();
        assert_eq!(masters.len(), 1);
        assert_eq!(masters[0].login.as_ref().unwrap().account.account_id, "acct-A");
        assert_eq!(names(&volume), [".lock", "auth-1.json"]);
    }

    #[test]
    fn a_whole_staged_master_of_a_killed_writer_takes_its_place_and_half_of_one_is_removed() {
        let (dir, volume) = volume();
        std::fs::write(dir.path().join("auth-1.json"), "the old one").unwrap();
        std::fs::write(dir.path().join(".auth-1.json.new"), LOGIN).unwrap();
        std::fs::write(dir.path().join(".auth-2.json.new"), "{\"access_token\": \"ha").unwrap();
        drop(volume.lock().unwrap());
        assert_eq!(std::fs::read(dir.path().join("auth-1.json")).unwrap(), LOGIN);
        assert_eq!(names(&volume), [".lock", "auth-1.json"]);
    }

    #[test]
    fn one_login_into_a_slot_at_a_time() {
        let (_dir, volume) = volume();
        let first = volume.lock_login(Slot::FIRST).unwrap();
        let error = volume.lock_login(Slot::FIRST).unwrap_err();
        assert_eq!(
            error.to_string(),
            "another login into account-1 is under way: finish or end that one first"
        );
        drop(volume.lock_login("2".parse().unwrap()).unwrap());
        drop(first);
        drop(volume.lock_login(Slot::FIRST).unwrap());
        assert_eq!(names(&volume), [""; 0]);
    }

    #[test]
    fn a_signal_left_while_one_is_handled_is_kept_for_the_next_pass() {
        let (_dir, volume) = volume();
        volume.wake(b"").unwrap();
        let locked = volume.lock().unwrap();
        let taken = locked.take_signals(Timestamp::now()).unwrap();
        assert_eq!(taken.len(), 1);
        volume.wake(b"{half").unwrap();
        locked.end_signals(taken).unwrap();
        let taken = locked.take_signals(Timestamp::now()).unwrap();
        assert!(matches!(taken[0].signal, Signal::Unreadable { .. }));
        locked.end_signals(taken).unwrap();
        assert_eq!(names(&volume), [".lock", "rotate-now.unreadable"]);
    }

    #[test]
    fn a_signal_whose_pass_died_is_taken_again() {
        let (_dir, volume) = volume();
        let locked = volume.lock().unwrap();
        volume.wake(b"").unwrap();
        let died = locked.take_signals(Timestamp::from_seconds(1)).unwrap();
        volume.wake(b"").unwrap();
        let again = locked.take_signals(Timestamp::from_seconds(2)).unwrap();
        assert_eq!((died.len(), again.len()), (1, 2));
        assert_eq!(died[0].name(), again[0].name());
    }

    #[test]
    fn what_is_written_into_a_record_that_was_replaced_is_not_lost() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        locked.publish(b"first", Access::PRIVATE).unwrap();
        let mut litellm = OpenOptions::new().write(true).open(dir.path().join("auth.json")).unwrap();
        let replaced = locked.publish(b"second", Access::PRIVATE).unwrap();
        assert_eq!(replaced.as_ref().unwrap().content, b"first");
        litellm.set_len(0).unwrap();
        std::io::Write::write_all(&mut litellm, b"LiteLLM's own").unwrap();
        assert_eq!(locked.end_aside(replaced).unwrap().unwrap(), b"LiteLLM's own");
        let replaced = locked.publish(b"third", Access::PRIVATE).unwrap();
        assert_eq!(locked.end_aside(replaced).unwrap(), None, "nobody wrote");
    }

    #[test]
    fn a_pass_that_ended_is_known_by_its_mark_and_before_the_first_by_the_record() {
        let (dir, volume) = volume();
        assert_eq!(volume.last_pass(), None);
        let locked = volume.lock().unwrap();
        locked.publish(b"{}", Access::PRIVATE).unwrap();
        assert_eq!(volume.last_pass(), volume.published_at());
        let an_hour_ago = std::time::SystemTime::now() - Duration::from_hours(1);
        let set = |name: &str| File::open(dir.path().join(name)).unwrap().set_modified(an_hour_ago).unwrap();
        set("auth.json");
        locked.end_pass().unwrap();
        set(".last-pass");
        assert_eq!(volume.last_pass(), Some(Timestamp::from_system_time(an_hour_ago)));
        locked.end_pass().unwrap();
        assert!(Timestamp::now().since(volume.last_pass().unwrap()) < Duration::from_mins(1));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_what_to_do() {
        let error = Volume::open(Layout::new("/nonexistent".into(), None)).unwrap_err();
        assert_eq!(error.exit(), Exit::BadConfig);
        assert_eq!(
            error.to_string(),
            "/nonexistent is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR"
        );
    }
}
