//! The receiver that is a command: it gets an event on its standard input, and has until the deadline.

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

/// The variable that holds the kind of event.
const EVENT_VARIABLE: &str = "CODEX_EVENT";

/// How often the deadline is checked, in milliseconds.
const CHECK_EVERY: u16 = 50;

/// How long a killed command may take to be gone. One that the kernel cannot end is left behind.
const KILL_WAIT: Duration = Duration::from_millis(500);

/// How many bytes of its output are kept, for the log if it fails.
const KEPT: usize = 200;

/// The signals by which a pass is stopped.
const STOP: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// A program and its arguments.
#[derive(Debug)]
pub(crate) struct EventCommand {
    words: Vec<CString>,
    fingerprint: String,
}

impl EventCommand {
    /// Splits a line at white space, because our images have no shell; `None` if there are no words.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split_whitespace().filter_map(|word| CString::new(word).ok()).collect();
        (!words.is_empty()).then(|| Self { words, fingerprint: Secret::new(line).fingerprint() })
    }

    /// The program, for the log. The arguments are not shown, because they may hold a secret.
    pub(crate) fn program(&self) -> String {
        self.words[0].to_string_lossy().into_owned()
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Runs it to its end. Whatever its outcome, no process that it started is left.
    ///
    /// # Errors
    /// Why the event may not have been received.
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
            Ended::Unknown => "ended with an unknown status".to_owned(),
            Ended::OutOfTime(why) => format!("was ended, because {why}"),
            Ended::Stopped(signal) => {
                drop(stop);
                // As if it had not been held. This ends us, unless we are PID 1.
                let _ = raise(signal);
                "was ended, because the pass was stopped".to_owned()
            }
        };
        Err(why + &output.last_line())
    }

    /// Starts it in a process group of its own, so that all it starts can be ended with it.
    fn start(&self, event: &Event) -> io::Result<(Pid, PipeReader)> {
        let (event_end, mut into) = io::pipe()?;
        // It fits the pipe, so this does not wait for a reader.
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

/// Our environment without the tokens and without the receivers.
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
    /// The deadline has passed, and why.
    OutOfTime(&'static str),
    /// The pass is stopped.
    Stopped(Signal),
}

fn wait(pid: Pid, output: &mut Output, stop: &StopSignals, deadline: &Deadline) -> Ended {
    loop {
        // It stays a zombie, so that its number still belongs to its group.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(pid), flags) {
            Ok(WaitStatus::Exited(_, code)) => {
                output.read();
                return Ended::Exited(code);
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ended::Killed(signal),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ended::Unknown,
        }
        if let Some(signal) = stop.arrived() {
            return Ended::Stopped(signal);
        }
        if let Some(why) = deadline.has_passed() {
            return Ended::OutOfTime(why);
        }
        let signals = PollFd::new(stop.signals.as_fd(), PollFlags::POLLIN);
        let _ = match &output.from {
            from if output.is_open => poll(
                &mut [signals, PollFd::new(from.as_fd(), PollFlags::POLLIN)],
                PollTimeout::from(CHECK_EVERY),
            ),
            _ => poll(&mut [signals], PollTimeout::from(CHECK_EVERY)),
        };
        output.read();
    }
}

/// Kills it with all that it started, and reaps it.
fn end(pid: Pid) {
    let _ = killpg(pid, Signal::SIGKILL);
    let give_up = Instant::now() + KILL_WAIT;
    while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) && Instant::now() < give_up {
        sleep(Duration::from_millis(1));
    }
}

/// The output of a command. It is read, so that the command never waits for us, and only its end is kept.
struct Output {
    from: PipeReader,
    last: Vec<u8>,
    is_open: bool,
}

impl Output {
    /// Reads what is there, but no more at a time than a pipe holds: the command may write faster than this reads.
    fn read(&mut self) {
        let mut some = [0; 4096];
        for _ in 0..16 {
            match self.from.read(&mut some) {
                Ok(0) => {
                    self.is_open = false;
                    return;
                }
                Ok(read) => {
                    self.last.extend_from_slice(&some[..read]);
                    self.last.drain(..self.last.len().saturating_sub(KEPT));
                }
                Err(_) => return,
            }
        }
    }

    /// `: ` and the last line, or nothing.
    fn last_line(&self) -> String {
        let kept = String::from_utf8_lossy(&self.last);
        let line = kept.trim().rsplit('\n').next().unwrap_or_default();
        if line.is_empty() { String::new() } else { format!(": {line}") }
    }
}

/// Holds the signals that stop a pass while a command runs, because the command has to end with it.
struct StopSignals {
    signals: SignalFd,
    before: SigSet,
}

impl StopSignals {
    fn hold() -> nix::Result<Self> {
        let mut held: SigSet = STOP.into_iter().collect();
        // Wakes us when the command ends.
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
