//! The files of signals. LiteLLM's container may write anything into their directory: whatever is there under our names, a
//! pass reads a bounded part of it, and ends.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use durable_file::atomic::{self, Access};
use durable_file::private_file::{NotRead, PrivateFile};
use records::Timestamp;
use records::signal::Signal;

use crate::error::{cannot_read, cannot_write};
use crate::lock::Locked;
use crate::{Volume, VolumeError, clock};

/// How the name of a signal begins that a pass has taken and not yet removed.
const TAKEN: &str = ".rotate-now.taken-";

/// The last signal that could not be read.
const UNREADABLE: &str = "rotate-now.unreadable";

/// Who may read a signal: the rotator may be another user of the group.
const ACCESS: Access = Access { mode: 0o660, group: None };

/// The largest signal that is read, in bytes; the callback's have less than 2 KiB.
const LARGEST: u64 = 64 << 10;

/// How many signals a pass takes at most. It leaves the others to the next pass.
const MOST_SIGNALS: usize = 1024;

/// How many bytes of signals a pass takes at most.
const MOST_BYTES: usize = 1 << 20;

/// How many names in the directory are searched for signals.
const MOST_NAMES: usize = 1 << 14;

/// A signal and the file that it is in.
#[derive(Debug)]
pub struct SignalFile {
    path: PathBuf,
    pub signal: Signal,
    /// When it was left, by the file system's clock.
    pub left_at: Timestamp,
}

impl SignalFile {
    /// The name of its file, which is different for every signal that a pass has taken.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Volume {
    /// The signals that wait. They are left where they are.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn signals(&self) -> Result<Vec<SignalFile>, VolumeError> {
        Ok(read(self.taken_signals()?.into_iter().chain([self.layout().signal()])))
    }

    /// Whether a signal waits.
    #[must_use]
    pub fn has_signal(&self) -> bool {
        self.layout().signal().symlink_metadata().is_ok()
    }

    /// Leaves a signal for the rotator, unless one is waiting already, which wakes it as well.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn wake(&self, signal: &[u8]) -> Result<(), VolumeError> {
        self.leave(signal).map(drop)
    }

    /// Leaves a signal for the rotator. Returns false if one is waiting already, so that this one was not left.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn leave(&self, signal: &[u8]) -> Result<bool, VolumeError> {
        let path = self.layout().signal();
        match atomic::create(&path, signal, ACCESS) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            created => created.map_err(cannot_write(&path))?,
        }
        // Watchers consider a file complete when it is closed after writing, and a link is not written to.
        drop(OpenOptions::new().write(true).open(&path));
        Ok(true)
    }

    fn taken_signals(&self) -> Result<Vec<PathBuf>, VolumeError> {
        let live = self.layout().live();
        let names = crate::layout::names(live).map_err(cannot_read(live))?.take(MOST_NAMES);
        let mut taken: Vec<_> = names.filter(|name| name.starts_with(TAKEN)).collect();
        taken.sort_unstable();
        Ok(taken.into_iter().take(MOST_SIGNALS).map(|name| live.join(name)).collect())
    }
}

impl Locked<'_> {
    /// Takes the signals that wait. They are renamed first, so that a signal that is left from then on is for the next pass.
    /// Signals that a pass had taken before it died are taken again.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn take_signals(&self, now: Timestamp) -> Result<Vec<SignalFile>, VolumeError> {
        let (path, live) = (self.volume().layout().signal(), self.volume().layout().live());
        // The state remembers by this name which signals have been handled, so no name may occur twice.
        let aside = live.join(format!("{TAKEN}{}-{}", now.milliseconds(), std::process::id()));
        match std::fs::rename(&path, aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path)(e)),
            _ => Ok(read(self.volume().taken_signals()?)),
        }
    }

    /// Removes signals whose effect is on the volume. The last one that could not be read is kept for the operator.
    ///
    /// # Errors
    /// One of them cannot be removed; the others are removed.
    pub fn end_signals(&self, signals: Vec<SignalFile>) -> Result<(), VolumeError> {
        let unreadable = self.volume().layout().live().join(UNREADABLE);
        let mut ended = Ok(());
        for SignalFile { path, signal, .. } in signals {
            let kept = matches!(signal, Signal::Unreadable { .. })
                && path.symlink_metadata().is_ok_and(|file| file.is_file())
                && std::fs::rename(&path, &unreadable).is_ok();
            if !kept {
                ended = ended.and(remove(&path).map_err(cannot_write(&path)));
            }
        }
        ended
    }
}

fn read(paths: impl IntoIterator<Item = PathBuf>) -> Vec<SignalFile> {
    let mut bytes = 0;
    let read = |path: PathBuf| match PrivateFile::read_within(&path, LARGEST) {
        Ok(file) => {
            let signal = Signal::parse(&file.content, file.written);
            Some((file.content.len(), SignalFile { path, signal, left_at: file.written }))
        }
        Err(NotRead::Missing) => None,
        Err(_) => {
            let left_at = clock::now();
            Some((0, SignalFile { path, signal: Signal::Unreadable { at: left_at }, left_at }))
        }
    };
    let within = |(size, _): &(usize, SignalFile)| {
        bytes += size;
        bytes <= MOST_BYTES
    };
    paths.into_iter().filter_map(read).take_while(within).map(|(_, taken)| taken).collect()
}

/// Removes what is under a signal's name. A directory with something in it stays, because its content is not ours; the
/// state remembers it as handled.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(_) if path.is_dir() => {
            let _ = std::fs::remove_dir(path);
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::volume;

    fn names(volume: &Volume) -> Vec<String> {
        let mut names: Vec<_> = crate::layout::names(volume.layout().auth()).unwrap().collect();
        names.sort();
        names
    }

    #[test]
    fn a_signal_left_while_one_is_handled_is_kept_for_the_next_pass() {
        let (_dir, volume) = volume();
        volume.wake(b"").unwrap();
        let locked = volume.lock().unwrap();
        let taken = locked.take_signals(clock::now()).unwrap();
        assert_eq!(taken.len(), 1);
        volume.wake(b"{half").unwrap();
        locked.end_signals(taken).unwrap();
        let taken = locked.take_signals(clock::now()).unwrap();
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
    fn what_is_no_file_under_a_signals_name_is_removed_and_not_waited_for() {
        let (dir, volume) = volume();
        let locked = volume.lock().unwrap();
        let signal = dir.path().join("rotate-now");
        let fifo = || nix::unistd::mkfifo(&signal, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let link = || std::os::unix::fs::symlink("/dev/zero", &signal).unwrap();
        let directory = || std::fs::create_dir(&signal).unwrap();
        let socket = || drop(std::os::unix::net::UnixListener::bind(&signal).unwrap());
        for leave in [&fifo as &dyn Fn(), &link, &directory, &socket] {
            leave();
            let taken = locked.take_signals(clock::now()).unwrap();
            assert!(matches!(taken[0].signal, Signal::Unreadable { .. }));
            locked.end_signals(taken).unwrap();
            assert_eq!(names(&volume), [".lock"]);
        }
    }

    #[test]
    fn a_pass_takes_a_bounded_number_of_signals_and_bytes() {
        let (dir, volume) = volume();
        for number in 0..=MOST_SIGNALS {
            std::fs::write(dir.path().join(format!("{TAKEN}{number:05}")), "").unwrap();
        }
        let locked = volume.lock().unwrap();
        assert_eq!(locked.take_signals(clock::now()).unwrap().len(), MOST_SIGNALS);
        for number in 0..=MOST_SIGNALS {
            let large = vec![b' '; usize::try_from(LARGEST).unwrap()];
            std::fs::write(dir.path().join(format!("{TAKEN}{number:05}")), large).unwrap();
            if number > 20 {
                break;
            }
        }
        assert!(locked.take_signals(clock::now()).unwrap().len() <= 16);
    }
}
