//! The cleanup process, which removes what a login leaves behind if `auth-login` is killed.
//!
//! A process cannot clean up after its own SIGKILL. So a second one reads a pipe whose other end `auth-login` and codex
//! hold. When both are gone and the last byte was not the dismissal, it removes what they left.

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

/// The byte that says that nothing is left to remove.
const DISMISSED: u8 = b'.';

/// The cleanup process, as `auth-login` sees it.
#[derive(Debug)]
pub(crate) struct CleanupProcess {
    process: Pid,
    /// The writing end of the pipe, which the kernel closes at the latest.
    pipe: Option<File>,
}

impl CleanupProcess {
    /// Starts it. This must be done while the process has one thread, which is checked.
    ///
    /// # Errors
    /// There is no pipe or no process to be had.
    #[expect(
        unsafe_code,
        reason = "a process that shares our files and needs no program of its own is a fork"
    )]
    pub(crate) fn start(home: &Path, volume: &Volume, login: &LoginLock) -> io::Result<Self> {
        // codex inherits the writing end, so that nothing is removed while codex still uses it.
        let (ours, theirs) = pipe()?;
        fcntl(&ours, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        if std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1) {
            return Err(io::Error::other("the cleanup process must be started before any thread"));
        }
        // SAFETY: there is no other thread, so the child inherits no lock that is held and no half-made state.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { process: child, pipe: Some(File::from(theirs)) }),
            ForkResult::Child => {
                drop(theirs);
                clean_up(ours, home, volume, login)
            }
        }
    }

    /// Makes it remove this file, which reserves room on the volume, as well.
    ///
    /// It gets the path only now: if it had the file open, the room would not be free after a removal.
    ///
    /// # Errors
    /// The cleanup process is gone.
    pub(crate) fn include(&mut self, room: &Path) -> io::Result<()> {
        let message = [room.as_os_str().as_bytes(), b"\0"].concat();
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.write_all(&message))
    }

    /// Ends it without removing anything.
    pub(crate) fn dismiss(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = pipe.write_all(&[DISMISSED]);
            drop(pipe);
            let _ = waitpid(self.process, None);
        }
    }
}

/// What the cleanup process does. It leaves the terminal's process group and takes no signal but SIGKILL, because it
/// ends by itself as soon as no process holds the other end of the pipe.
fn clean_up(pipe: OwnedFd, home: &Path, volume: &Volume, login: &LoginLock) -> ! {
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let mut message = Vec::new();
    let _ = File::from(pipe).read_to_end(&mut message);
    if message.last() != Some(&DISMISSED) {
        let _ = wipe(home);
        login.forget();
        let room = message.strip_suffix(b"\0").map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
        settle(volume, room.as_deref());
    }
    // Returning would go on with the login, which is the work of the other process.
    std::process::exit(0)
}

/// Finishes or removes a master that was being written, which is part of taking the lock, and then removes its room.
fn settle(volume: &Volume, room: Option<&Path>) {
    let _locked = loop {
        match volume.lock() {
            Err(VolumeError::Locked(..)) => {}
            locked => break locked,
        }
    };
    // A whole login in it is left for the next writer, which stores it.
    let is_login =
        |path: &Path| PrivateFile::read(path).is_ok_and(|file| Login::parse(&file.content).is_ok());
    if let Some(room) = room.filter(|room| !is_login(room)) {
        let _ = std::fs::remove_file(room);
    }
}
