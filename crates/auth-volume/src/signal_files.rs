//! The files in which signals lie. LiteLLM's container may write anything into their directory: whatever lies there
//! under our names, a pass reads a bounded part of it, and ends.

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

/// How the name of a signal begins that a pass has taken and not yet ended.
const TAKEN: &str = ".rotate-now.taken-";

/// The last signal that made no sense.
const UNREADABLE: &str = "rotate-now.unreadable";

/// Who may read a signal: the rotator may be another user of the group.
const SIGNAL: Access = Access { mode: 0o660, group: None };

/// The largest signal that is read; the callback's are below 2 KiB.
const LARGEST: u64 = 64 << 10;

/// How many signals a pass takes at the most, and how many bytes of them; the rest is the next pass's.
const MOST: (usize, usize) = (1024, 1 << 20);

/// How many names of the directory are looked at for signals.
const NAMES: usize = 1 << 14;

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
    /// The signals that wait, left where they are.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn signals(&self) -> Result<Vec<Taken>, VolumeError> {
        Ok(read(self.taken_signals()?.into_iter().chain([self.layout().signal()])))
    }

    /// Whether a signal waits.
    #[must_use]
    pub fn has_signal(&self) -> bool {
        self.layout().signal().symlink_metadata().is_ok()
    }

    /// Leaves a signal for the rotator, unless one is waiting already: that one wakes it as well.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn wake(&self, signal: &[u8]) -> Result<(), VolumeError> {
        let path = self.layout().signal();
        match atomic::create(&path, signal, SIGNAL) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            created => created.map_err(cannot_write(&path))?,
        }
        // Watchers take a file for whole when it is closed after writing, and a link is no writing.
        drop(OpenOptions::new().write(true).open(&path));
        Ok(())
    }

    fn taken_signals(&self) -> Result<Vec<PathBuf>, VolumeError> {
        let live = self.layout().live();
        let names = crate::layout::names(live).map_err(cannot_read(live))?.take(NAMES);
        let mut taken: Vec<_> = names.filter(|name| name.starts_with(TAKEN)).collect();
        taken.sort_unstable();
        Ok(taken.into_iter().take(MOST.0).map(|name| live.join(name)).collect())
    }
}

impl Locked<'_> {
    /// Takes the signals that wait. Moved aside first: one that is left from here on is the next pass's, and
    /// one that was taken by a pass that died is taken again.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn take_signals(&self, now: Timestamp) -> Result<Vec<Taken>, VolumeError> {
        let (path, live) = (self.volume().layout().signal(), self.volume().layout().live());
        // Never the same again, for the state remembers by it what has been heard.
        let aside = live.join(format!("{TAKEN}{}-{}", now.milliseconds(), std::process::id()));
        match std::fs::rename(&path, aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path)(e)),
            _ => Ok(read(self.volume().taken_signals()?)),
        }
    }

    /// Ends signals whose effect is on the volume. One that made no sense stays to be looked at, the last one.
    ///
    /// # Errors
    /// One of them cannot be removed; the others are.
    pub fn end_signals(&self, signals: Vec<Taken>) -> Result<(), VolumeError> {
        let unreadable = self.volume().layout().live().join(UNREADABLE);
        let mut ended = Ok(());
        for Taken { path, signal, .. } in signals {
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

fn read(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Taken> {
    let mut bytes = 0;
    let read = |path: PathBuf| match PrivateFile::read_within(&path, LARGEST) {
        Ok(file) => {
            let signal = Signal::parse(&file.content, file.written);
            Some((file.content.len(), Taken { path, signal, left_at: file.written }))
        }
        Err(NotRead::Missing) => None,
        Err(_) => {
            let left_at = clock::now();
            Some((0, Taken { path, signal: Signal::Unreadable { at: left_at }, left_at }))
        }
    };
    let within = |(size, _): &(usize, Taken)| {
        bytes += size;
        bytes <= MOST.1
    };
    paths.into_iter().filter_map(read).take_while(within).map(|(_, taken)| taken).collect()
}

/// Removes what lies under a signal's name. A directory that is not empty is not ours to empty: it stays, and is known
/// to the state as heard.
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
    fn what_is_no_file_under_a_signals_name_is_taken_away_and_holds_nobody_up() {
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
        for number in 0..=MOST.0 {
            std::fs::write(dir.path().join(format!("{TAKEN}{number:05}")), "").unwrap();
        }
        let locked = volume.lock().unwrap();
        assert_eq!(locked.take_signals(clock::now()).unwrap().len(), MOST.0);
        for number in 0..=MOST.0 {
            let large = vec![b' '; usize::try_from(LARGEST).unwrap()];
            std::fs::write(dir.path().join(format!("{TAKEN}{number:05}")), large).unwrap();
            if number > 20 {
                break;
            }
        }
        assert!(locked.take_signals(clock::now()).unwrap().len() <= 16);
    }
}
