//! The keeper: a second process that puts things in order should the first be killed.
//!
//! Nothing a process does for its own end survives SIGKILL. The keeper waits at a pipe whose other end this
//! process and codex hold; when both are gone without a word of farewell, it removes what they left.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use auth_volume::leftovers::wipe;
use auth_volume::{LoginLock, Volume, VolumeError};
use durable_file::private_file::PrivateFile;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe, setpgid};
use records::Login;

/// The word of farewell.
const DISMISSED: u8 = b'.';

/// The running keeper, seen from the process it keeps house for.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Pid,
    /// Closed by the kernel at the latest.
    line: Option<File>,
}

impl Keeper {
    /// Starts it. Must be called while the process has one thread, which is checked.
    ///
    /// # Errors
    /// The kernel said no.
    #[expect(
        unsafe_code,
        reason = "a process that shares our files and needs no program of its own is a fork"
    )]
    pub(crate) fn start(home: &Path, volume: &Volume, login: &LoginLock) -> io::Result<Self> {
        // codex inherits the writing end, so that the keeper does not wipe under its hands.
        let (ours, theirs) = pipe()?;
        fcntl(&ours, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
            return Err(io::Error::other("the keeper must be started before any thread"));
        }
        // SAFETY: there is no other thread, so the child inherits no lock that is held and no half-made state.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { process: child, line: Some(File::from(theirs)) }),
            ForkResult::Child => {
                drop(theirs);
                keep(ours, home, volume, login)
            }
        }
    }

    /// Has it remove this room on the volume as well.
    ///
    /// Told afterwards, for a keeper that had the room's file open would keep its bytes from being free.
    ///
    /// # Errors
    /// It is not there any more.
    pub(crate) fn mind(&mut self, room: &Path) -> io::Result<()> {
        let line = [room.as_os_str().as_bytes(), b"\0"].concat();
        self.line.as_mut().map_or(Ok(()), |keeper| keeper.write_all(&line))
    }

    /// Ends it: there is nothing left to put in order.
    pub(crate) fn dismiss(&mut self) {
        if let Some(mut line) = self.line.take() {
            let _ = line.write_all(&[DISMISSED]);
            drop(line);
            let _ = waitpid(self.process, None);
        }
    }
}

/// The keeper's life. It leaves the terminal's process group and takes no signal but SIGKILL, for it ends by
/// itself as soon as nobody holds the other end of the line.
fn keep(line: OwnedFd, home: &Path, volume: &Volume, login: &LoginLock) -> ! {
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let mut word = Vec::new();
    let _ = File::from(line).read_to_end(&mut word);
    if word.last() != Some(&DISMISSED) {
        let _ = wipe(home);
        login.forget();
        let room = word.strip_suffix(b"\0").map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
        settle(volume, room.as_deref());
    }
    // This process has no `main` to go back to: what the first would do next is not its work.
    std::process::exit(0)
}

/// Finishes or removes a master that was being written, which taking the lock does, and then the room for it.
fn settle(volume: &Volume, room: Option<&Path>) {
    let _locked = loop {
        match volume.lock() {
            Err(VolumeError::Locked(..)) => {}
            locked => break locked,
        }
    };
    // A login that is whole and still there is the next writer's to finish.
    let is_login =
        |path: &Path| PrivateFile::read(path).is_ok_and(|file| Login::parse(&file.content).is_ok());
    if let Some(room) = room.filter(|room| !is_login(room)) {
        let _ = std::fs::remove_file(room);
    }
}
