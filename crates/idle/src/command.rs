//! The command: how it is started, signalled as a process group and reaped.

use std::env;
use std::ffi::{CString, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What a shell answers for a command it cannot find, and for one it found but cannot run.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;

/// A command line, ready to be started any number of times.
#[derive(Debug)]
pub(crate) struct Command {
    words: Vec<CString>,
}

impl Command {
    pub(crate) fn new(words: Vec<OsString>) -> Self {
        Self { words: words.into_iter().map(c_string).collect() }
    }

    pub(crate) fn name(&self) -> String {
        self.words[0].to_string_lossy().into_owned()
    }

    /// Starts it in a process group of its own, so that whatever it starts can be signalled with it, and
    /// without the signal mask that idle works under.
    ///
    /// `posix_spawn` rather than `std::process::Command`: that cannot reset the mask without unsafe code,
    /// and makes the program 75 KB larger.
    pub(crate) fn start(&self) -> Result<Pid, CannotRun> {
        self.spawn().map_err(|errno| CannotRun { name: self.name(), errno })
    }

    fn spawn(&self) -> nix::Result<Pid> {
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETPGROUP,
        )?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        let same_files = PosixSpawnFileActions::init()?;
        posix_spawnp(&self.words[0], &same_files, &attributes, &self.words, &environment())
    }
}

fn environment() -> Vec<CString> {
    env::vars_os()
        .map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            c_string(name)
        })
        .collect()
}

fn c_string(text: OsString) -> CString {
    CString::new(text.into_vec()).expect("arguments and environment come from the kernel, NUL-terminated")
}

/// Sends a signal to the command and all that it started. It is no error if they are gone already.
pub(crate) fn signal_group(command: Pid, signal: Signal) {
    let _ = killpg(command, signal);
}

/// Reaps every process that has ended, the command as well as orphans left to PID 1, and gives how the command ended if
/// it is among them.
pub(crate) fn reap(command: Option<Pid>) -> Option<Ending> {
    let mut ending = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if Some(pid) == command => ending = Some(Ending::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if Some(pid) == command => {
                ending = Some(Ending::Killed(signal));
            }
            Ok(WaitStatus::StillAlive) => break,
            // An orphan; EINVAL is one ended by a real-time signal, for which nix has no name.
            Ok(_) | Err(Errno::EINVAL | Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    ending.or_else(|| command.filter(|pid| is_gone(*pid)).map(|_| Ending::Unknown))
}

/// Whether the command is gone without a status: it was ended by a real-time signal, or idle was started with SIGCHLD
/// ignored, which makes the kernel forget children at once.
fn is_gone(command: Pid) -> bool {
    kill(command, None) == Err(Errno::ESRCH)
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ending {
    Exited(i32),
    Killed(Signal),
    Unknown,
}

impl Ending {
    pub(crate) fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    /// The code a shell would give.
    pub(crate) fn exit_code(self) -> u8 {
        let code = match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal as i32,
            Self::Unknown => 1,
        };
        u8::try_from(code).expect("exit codes end at 255 and signals at 64")
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Killed(signal) => write!(f, "was killed by {signal}"),
            Self::Unknown => write!(f, "ended, with what status is not known"),
        }
    }
}

/// Why a command could not be started.
#[derive(Debug)]
pub(crate) struct CannotRun {
    name: String,
    errno: Errno,
}

impl CannotRun {
    pub(crate) fn exit_code(&self) -> u8 {
        if self.errno == Errno::ENOENT { NOT_FOUND } else { CANNOT_RUN }
    }
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "cannot run {}: ", self.name)?;
        match self.errno {
            Errno::ENOENT if self.name.contains('/') => {
                write!(f, "no such file, or the interpreter it names is missing")
            }
            Errno::ENOENT => write!(f, "not found on PATH; check its spelling or give its full path"),
            Errno::EACCES => write!(f, "permission denied; make it executable for this user"),
            other => write!(f, "{}", io::Error::from(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_become_the_codes_that_a_shell_gives() {
        assert_eq!(Ending::Exited(69).exit_code(), 69);
        assert_eq!(Ending::Exited(255).exit_code(), 255);
        assert_eq!(Ending::Killed(Signal::SIGTERM).exit_code(), 143);
        assert_eq!(Ending::Killed(Signal::SIGKILL).exit_code(), 137);
    }

    #[test]
    fn only_code_0_is_success() {
        assert!(Ending::Exited(0).is_success());
        assert!(!Ending::Exited(1).is_success());
        assert!(!Ending::Killed(Signal::SIGTERM).is_success());
        assert!(!Ending::Unknown.is_success());
    }

    #[test]
    fn endings_read_as_the_rest_of_a_sentence() {
        assert_eq!(Ending::Exited(69).to_string(), "exited with 69");
        assert_eq!(Ending::Killed(Signal::SIGKILL).to_string(), "was killed by SIGKILL");
    }
}
