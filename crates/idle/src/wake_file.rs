//! The wake-up file: noticed within milliseconds by inotify, and within seconds without it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::report::report;

/// How often the file is checked without an event: NFS and VM-isolated volumes deliver none for what others write.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// The events of the directory, because the file is absent most of the time. `IN_CREATE` is left out on purpose: at
/// that moment the writer has written nothing yet, and `IN_CLOSE_WRITE` follows.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_MOVED_TO
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// The file, its directory, and what was last seen of both.
#[derive(Debug)]
pub(crate) struct WakeFile {
    path: PathBuf,
    name: OsString,
    directory: PathBuf,
    inotify: Option<Inotify>,
    watched: Option<(WatchDescriptor, DirectoryId)>,
    last_error: Option<Errno>,
    seen: Option<Stamp>,
    next_check: Instant,
}

/// Distinguishes one appearance of the file from another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

/// Device and inode, by which it is known whether the path still leads to the directory that is watched.
type DirectoryId = (u64, u64);

/// What the events since the last time say.
#[derive(Debug, Default)]
struct News {
    /// The file was written or moved here, or events about it may be missing.
    is_check_due: bool,
    /// The file was moved here, which is a new appearance whatever its stamp says: an inode is soon used again, and two
    /// files that were made within one tick of the kernel's clock have the same time.
    moved_here: bool,
}

impl WakeFile {
    /// Starts to watch for a file. One that is there already counts as seen.
    pub(crate) fn watch(path: PathBuf) -> Self {
        // The instances of a user are limited on each node, and many pods run as the same user.
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .inspect_err(|error| report_error(&path, *error))
            .ok();
        let directory = match path.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        let mut file = Self {
            name: path.file_name().unwrap_or_default().to_owned(),
            directory: directory.to_owned(),
            path,
            inotify,
            watched: None,
            last_error: None,
            seen: None,
            next_check: Instant::now(),
        };
        file.check(&News::default());
        file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A descriptor that is readable when there are events.
    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// When to check again without an event.
    pub(crate) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// Whether the file has appeared since the last check. It is not checked after events of other files in the
    /// directory, because it might be half-written then.
    pub(crate) fn has_appeared(&mut self) -> bool {
        let news = self.news();
        (news.is_check_due || self.next_check <= Instant::now()) && self.check(&news)
    }

    /// The same, but checked in any case: before a run, which is for the file, and after a run, which may have left it.
    pub(crate) fn has_changed(&mut self) -> bool {
        let news = self.news();
        self.check(&news)
    }

    fn news(&mut self) -> News {
        let mut news = News::default();
        let Some(inotify) = &self.inotify else { return news };
        while let Ok(events) = inotify.read_events() {
            for event in events {
                let about_the_file = event.name.as_ref() == Some(&self.name);
                // Unnamed events are about the directory itself, or say that the queue overflowed.
                news.is_check_due |= about_the_file || event.name.is_none();
                news.moved_here |= about_the_file && event.mask.contains(AddWatchFlags::IN_MOVED_TO);
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.watched.take_if(|(watch, _)| *watch == event.wd);
                }
            }
        }
        news
    }

    fn check(&mut self, news: &News) -> bool {
        self.next_check = Instant::now() + CHECK_EVERY;
        // The watch first: a file that appears later makes an event, and one that appeared before is seen below.
        self.update_watch();
        let stamp = Stamp::of(&self.path);
        let appeared = stamp.is_some() && (news.moved_here || stamp != self.seen);
        self.seen = stamp;
        appeared
    }

    /// Watches the directory that is there now: it may be made after idle has started, or be replaced by another one.
    fn update_watch(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let there = fs::metadata(&self.directory).ok().map(|it| (it.dev(), it.ino()));
        if there.is_some() && there == self.watched.map(|(_, id)| id) {
            return;
        }
        if let Some((old, _)) = self.watched.take() {
            let _ = inotify.rm_watch(old);
        }
        let Some(id) = there else { return };
        match inotify.add_watch(&self.directory, EVENTS) {
            Ok(watch) => self.watched = Some((watch, id)),
            Err(error) if error == Errno::ENOENT || self.last_error == Some(error) => {}
            Err(error) => {
                report_error(&self.path, error);
                self.last_error = Some(error);
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let it = fs::metadata(path).ok()?;
        Some(Self { inode: it.ino(), modified: (it.mtime(), it.mtime_nsec()), size: it.size() })
    }
}

fn report_error(path: &Path, error: Errno) {
    let seconds = CHECK_EVERY.as_secs();
    let cause = io::Error::from(error);
    report(&format!("cannot watch for {} ({cause}); checking every {seconds} s instead", path.display()));
}
