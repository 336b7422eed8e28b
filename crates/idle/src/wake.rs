//! The wake-up file: noticed within milliseconds through inotify, within seconds without it.

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

/// The net under the events: NFS and VM-isolated volumes deliver none for what others write.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The directory is watched, not the file, which is absent most of the time. `IN_CREATE` is left out on
/// purpose: at that moment the writer has written nothing yet, and `IN_CLOSE_WRITE` follows.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_MOVED_TO
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// The file, its directory, and what was last seen of both.
#[derive(Debug)]
pub(crate) struct Wake {
    file: PathBuf,
    name: OsString,
    directory: PathBuf,
    inotify: Option<Inotify>,
    watched: Option<(WatchDescriptor, DirectoryId)>,
    last_complaint: Option<Errno>,
    seen: Option<Stamp>,
    next_look: Instant,
}

/// Tells one appearance of the file from another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

/// Device and inode: tells whether the path still leads to the directory that is watched.
type DirectoryId = (u64, u64);

/// What the events since the last time say.
#[derive(Debug, Default)]
struct News {
    /// Look at the file: it was written or moved here, or events about it may be missing.
    look: bool,
    /// It was moved here, and that is a new appearance whatever its stamp says: an inode is soon used
    /// again, and two files made within one tick of the kernel's clock have the same time.
    moved_here: bool,
}

impl Wake {
    /// Starts watching; a file that is there already counts as seen.
    pub(crate) fn on(file: PathBuf) -> Self {
        // One user's instances are limited per node, and many pods run as the same user.
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .inspect_err(|error| complain(&file, *error))
            .ok();
        let directory = match file.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        let mut wake = Self {
            name: file.file_name().unwrap_or_default().to_owned(),
            directory: directory.to_owned(),
            file,
            inotify,
            watched: None,
            last_complaint: None,
            seen: None,
            next_look: Instant::now(),
        };
        wake.look(&News::default());
        wake
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Readable when there is news.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// When to ask again without news.
    pub(crate) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Whether the file appeared since the last look. News of other files in the directory is no reason to
    /// look: that might catch this one half-written.
    pub(crate) fn has_appeared(&mut self) -> bool {
        let news = self.news();
        (news.look || self.next_look <= Instant::now()) && self.look(&news)
    }

    /// The same, looked for at once: before a run, for which the file is, and after one, which may have left it.
    pub(crate) fn has_changed(&mut self) -> bool {
        let news = self.news();
        self.look(&news)
    }

    fn news(&mut self) -> News {
        let mut news = News::default();
        let Some(inotify) = &self.inotify else { return news };
        while let Ok(events) = inotify.read_events() {
            for event in events {
                let about_the_file = event.name.as_ref() == Some(&self.name);
                // Unnamed events are about the directory itself, or say that the queue overflowed.
                news.look |= about_the_file || event.name.is_none();
                news.moved_here |= about_the_file && event.mask.contains(AddWatchFlags::IN_MOVED_TO);
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.watched.take_if(|(watch, _)| *watch == event.wd);
                }
            }
        }
        news
    }

    fn look(&mut self, news: &News) -> bool {
        self.next_look = Instant::now() + LOOK_EVERY;
        // The watch first: what appears after it makes an event, what appeared before it is seen below.
        self.renew_watch();
        let stamp = Stamp::of(&self.file);
        let appeared = stamp.is_some() && (news.moved_here || stamp != self.seen);
        self.seen = stamp;
        appeared
    }

    /// The directory may come after idle, or be replaced by another under the same path.
    fn renew_watch(&mut self) {
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
            Err(error) if error == Errno::ENOENT || self.last_complaint == Some(error) => {}
            Err(error) => {
                complain(&self.file, error);
                self.last_complaint = Some(error);
            }
        }
    }
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let it = fs::metadata(file).ok()?;
        Some(Self { inode: it.ino(), modified: (it.mtime(), it.mtime_nsec()), size: it.size() })
    }
}

fn complain(file: &Path, error: Errno) {
    let seconds = LOOK_EVERY.as_secs();
    let cause = io::Error::from(error);
    report(&format!("cannot watch for {} ({cause}); looking every {seconds} s instead", file.display()));
}
