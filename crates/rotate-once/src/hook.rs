//! The operator's command: it gets an event on its standard input, and so much time.

use std::env;
use std::ffi::{CString, OsString};
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStringExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, killpg, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use records::{Secret, env_fed};

use crate::args::{COMMAND_VARIABLE, WEBHOOK_VARIABLE};
use crate::deadline::Deadline;
use crate::event::Event;

/// The variable that tells a command which kind of event it gets.
const EVENT_VARIABLE: &str = "CODEX_EVENT";

/// How often it is looked whether deadline has ended.
const LOOK_AGAIN: u16 = 50;

/// How long a killed command may take to be gone: one that the kernel cannot end is left to it.
const KILLED: Duration = Duration::from_millis(500);

/// As much of what it said last as is kept, should it fail.
const LAST_WORDS: usize = 200;

/// What is asked of us to end.
const STOP: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// The command: a program and its arguments.
#[derive(Debug)]
pub(crate) struct Hook {
    words: Vec<CString>,
    fingerprint: String,
}

impl Hook {
    /// Split at white space, for there is no shell in our images to split it otherwise; `None` for no words.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().filter_map(|word| CString::new(word).ok()).collect();
        (!words.is_empty()).then(|| Self { words, fingerprint: Secret::new(line).fingerprint() })
    }

    /// The program, which may be told; its arguments may be nobody's business.
    pub(crate) fn shown(&self) -> String {
        self.words[0].to_string_lossy().into_owned()
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Runs it to its end. Nothing that it started is left when it is over, however it is.
    ///
    /// # Errors
    /// Why the event may not have been told.
    pub(crate) fn run(&self, event: &Event, deadline: &Deadline) -> Result<(), String> {
        let stop = StopSignals::hold().map_err(|e| format!("cannot wait for signals: {e}"))?;
        let (pid, output) = self.start(event).map_err(|e| format!("cannot be run: {e}"))?;
        let mut output = Output { from: output, last: Vec::new(), is_open: true };
        let ended = wait(pid, &mut output, &stop, deadline);
        end(pid);
        let why = match ended {
            Ended::Exited(0) => return Ok(()),
            Ended::Exited(code) => format!("exited with {code}"),
            Ended::Killed(signal) => format!("was killed by {signal}"),
            Ended::Unknown => "ended, with what status is not known".to_owned(),
            Ended::OutOfTime(why) => format!("was ended, because {why}"),
            Ended::Stopped(signal) => {
                drop(stop);
                // As if it had not been held. Only as the first process of a container does that not end us.
                let _ = raise(signal);
                "was ended, because we are".to_owned()
            }
        };
        Err(why + &output.last_words())
    }

    /// In a group of its own, so that whatever it starts can be ended with it.
    fn start(&self, event: &Event) -> io::Result<(Pid, PipeReader)> {
        let (event_end, mut into) = io::pipe()?;
        // It fits the pipe, so nobody needs to read it for this to end.
        writeln!(into, "{}", event.document)?;
        drop(into);
        let (output, output_end) = io::pipe()?;
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
                | PosixSpawnFlags::POSIX_SPAWN_SETPGROUP,
        )?;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::all())?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        let mut files = PosixSpawnFileActions::init()?;
        files.add_dup2(event_end.as_raw_fd(), 0)?;
        files.add_dup2(output_end.as_raw_fd(), 1)?;
        files.add_dup2(output_end.as_raw_fd(), 2)?;
        let environment = environment(event.kind);
        Ok((posix_spawnp(&self.words[0], &files, &attributes, &self.words, &environment)?, output))
    }
}

/// Ours, without what lets anybody in: tokens, and where else we tell.
fn environment(kind: &str) -> Vec<CString> {
    let is_kept = |name: &OsString| {
        let name = name.to_string_lossy();
        !env_fed::is_token(&name) && ![COMMAND_VARIABLE, WEBHOOK_VARIABLE, EVENT_VARIABLE].contains(&&*name)
    };
    let ours = env::vars_os().filter(|(name, _)| is_kept(name));
    ours.chain([(EVENT_VARIABLE.into(), kind.into())])
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        })
        .collect()
}

/// How a run ended.
enum Ended {
    Exited(i32),
    Killed(Signal),
    Unknown,
    /// Ours to end, and why.
    OutOfTime(&'static str),
    /// We are asked to end.
    Stopped(Signal),
}

fn wait(pid: Pid, output: &mut Output, stop: &StopSignals, deadline: &Deadline) -> Ended {
    loop {
        // It stays a zombie, so that its number is still that of its group.
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(pid), look) {
            Ok(WaitStatus::Exited(_, code)) => {
                output.take();
                return Ended::Exited(code);
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ended::Killed(signal),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ended::Unknown,
        }
        if let Some(signal) = stop.arrived() {
            return Ended::Stopped(signal);
        }
        if let Some(why) = deadline.ended() {
            return Ended::OutOfTime(why);
        }
        let signals = PollFd::new(stop.signals.as_fd(), PollFlags::POLLIN);
        let _ = match &output.from {
            from if output.is_open => poll(
                &mut [signals, PollFd::new(from.as_fd(), PollFlags::POLLIN)],
                PollTimeout::from(LOOK_AGAIN),
            ),
            _ => poll(&mut [signals], PollTimeout::from(LOOK_AGAIN)),
        };
        output.take();
    }
}

/// Ends all that it started, and collects it.
fn end(pid: Pid) {
    let _ = killpg(pid, Signal::SIGKILL);
    let give_up = Instant::now() + KILLED;
    while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) && Instant::now() < give_up {
        sleep(Duration::from_millis(1));
    }
}

/// What a command says. It is read, so that it never waits for us, and only the end of it is kept.
struct Output {
    from: PipeReader,
    last: Vec<u8>,
    is_open: bool,
}

impl Output {
    /// As much as is there, and no more at a time than the pipe holds: it may say more than we can read.
    fn take(&mut self) {
        let mut some = [0; 4096];
        for _ in 0..16 {
            match self.from.read(&mut some) {
                Ok(0) => {
                    self.is_open = false;
                    return;
                }
                Ok(read) => {
                    self.last.extend_from_slice(&some[..read]);
                    self.last.drain(..self.last.len().saturating_sub(LAST_WORDS));
                }
                Err(_) => return,
            }
        }
    }

    /// `: its last line`, or nothing.
    fn last_words(&self) -> String {
        let said = String::from_utf8_lossy(&self.last);
        let line = said.trim().rsplit('\n').next().unwrap_or_default();
        if line.is_empty() { String::new() } else { format!(": {line}") }
    }
}

/// The signals that ask us to end, held while a command runs that must end with us.
struct StopSignals {
    signals: SignalFd,
    before: SigSet,
}

impl StopSignals {
    fn hold() -> nix::Result<Self> {
        let mut held: SigSet = STOP.into_iter().collect();
        // To be woken by its end.
        held.add(Signal::SIGCHLD);
        let signals = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let before = SigSet::thread_get_mask()?;
        held.thread_block()?;
        Ok(Self { signals, before })
    }

    fn arrived(&self) -> Option<Signal> {
        while let Ok(Some(info)) = self.signals.read_signal() {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) = signal.filter(|signal| STOP.contains(signal)) {
                return Some(signal);
            }
        }
        None
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}
