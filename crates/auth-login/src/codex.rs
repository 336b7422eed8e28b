//! The real codex: finding it, running its login, and what its failures mean.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use auth_volume::exit::{Exit, Failure, OrExit as _};
use auth_volume::{Slot, env_fed};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::private_home::PrivateHome;

/// How codex begins the line that says why it failed.
const FAILED: &str = "Error logging in: ";

/// The codex program.
#[derive(Debug)]
pub(crate) struct Codex {
    program: PathBuf,
}

/// How the login ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    SignedIn,
    /// By this signal's number.
    Stopped(u8),
}

/// The signals that ask us to end, taken instead of dying of them.
///
/// Handlers, not a mask: codex must be able to die of them, and what a handler does is undone by `exec`.
#[derive(Debug)]
pub(crate) struct StopSignals(Signals);

impl StopSignals {
    /// From here on nothing of it is lost.
    ///
    /// # Errors
    /// The kernel said no.
    pub(crate) fn listen() -> io::Result<Self> {
        Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map(Self)
    }

    fn already(&mut self) -> Option<u8> {
        self.0.pending().find(|signal| *signal != SIGCHLD).map(number)
    }
}

fn number(signal: i32) -> u8 {
    u8::try_from(signal).expect("a signal's number is small")
}

impl Codex {
    /// Finds codex and sees that it runs.
    ///
    /// # Errors
    /// It is not there, or is something else.
    pub(crate) fn find(name: &OsStr) -> Result<Self, Failure> {
        let shown = name.to_string_lossy();
        let program = which::which(name)
            .with_context(|| {
                format!("no codex program {shown:?}: install codex, or set CODEX_BIN to its path")
            })
            .or_exit(Exit::BadConfig)?;
        let version = Command::new(&program)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .with_context(|| {
                format!("cannot run {}: set CODEX_BIN to a codex for this machine", program.display())
            })
            .or_exit(Exit::BadConfig)?;
        if !version.stdout.starts_with(b"codex") {
            let error = format!("{} is not codex: set CODEX_BIN to the path of codex", program.display());
            return Err(Failure::new(Exit::BadConfig, error));
        }
        Ok(Self { program })
    }

    /// Runs the login to its end. Standard input and output are codex's own, so that the link and the code
    /// appear at once; of its errors only the last word is held back, to be said with what to do.
    ///
    /// # Errors
    /// codex cannot be run, or it failed.
    pub(crate) fn login(
        &self,
        slot: Slot,
        home: &PrivateHome,
        args: &[OsString],
        stop: &mut StopSignals,
    ) -> Result<Ended, Failure> {
        if let Some(signal) = stop.already() {
            return Ok(Ended::Stopped(signal));
        }
        let mut codex =
            self.command(home, args).spawn().context("cannot start codex").or_exit(Exit::Failed)?;
        let errors = pass_on(codex.stderr.take().expect("it was piped"));
        let (status, stopped) =
            wait(&mut codex, stop).context("cannot wait for codex").or_exit(Exit::Failed)?;
        let last_word = errors.join().unwrap_or_default();
        match stopped {
            _ if status.success() => Ok(Ended::SignedIn),
            Some(signal) => Ok(Ended::Stopped(signal)),
            None => Err(failure(slot, &last_word.unwrap_or_else(|| status.to_string()))),
        }
    }

    fn command(&self, home: &PrivateHome, args: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        // "ephemeral" in somebody's defaults would report success and write nothing.
        command.args(["-c", r#"cli_auth_credentials_store="file""#, "login", "--device-auth"]).args(args);
        // HOME and the current directory too: codex looks for configuration in both. TMPDIR, because codex warns
        // of a home that lies in it.
        command.envs([
            ("CODEX_HOME", home.path()),
            ("HOME", home.path()),
            ("TMPDIR", &home.path().join("tmp")),
        ]);
        command.current_dir(home.path());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(env_fed::is_token) {
                command.env_remove(name);
            }
        }
        command.stderr(Stdio::piped());
        die_with_parent(&mut command);
        command
    }
}

/// Has the kernel end codex with us, should we be killed: it would write a login that nobody keeps.
#[expect(unsafe_code, reason = "std offers no safe way to set the parent-death signal of a child")]
fn die_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let hook = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec the hook makes two system calls and touches no memory but its own.
    unsafe { command.pre_exec(hook) };
}

/// Waits for codex, and asks it to end when we are asked.
fn wait(codex: &mut Child, stop: &mut StopSignals) -> io::Result<(std::process::ExitStatus, Option<u8>)> {
    let pid = Pid::from_raw(codex.id().try_into().map_err(io::Error::other)?);
    let mut stopped = None;
    for signal in stop.0.forever() {
        if signal != SIGCHLD {
            stopped = Some(number(signal));
            // Not yet waited for, so the number is still codex's own.
            kill(pid, Signal::SIGTERM)?;
        }
        if let Some(status) = codex.try_wait()? {
            return Ok((status, stopped));
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

/// Passes codex's errors on as they come; gives the reason of its failure, which is not passed on.
fn pass_on(errors: ChildStderr) -> JoinHandle<Option<String>> {
    std::thread::spawn(move || {
        let mut last_word = None;
        for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
            match String::from_utf8_lossy(&line).split_once(FAILED) {
                Some((_, reason)) => last_word = Some(reason.trim().to_owned()),
                // With stderr closed there is nobody to tell, but codex must not block on a full pipe.
                None => drop(io::stderr().write_all(&[&line, &b"\n"[..]].concat())),
            }
        }
        last_word
    })
}

/// What to do about a failed login, by what codex said of it.
fn failure(slot: Slot, reason: &str) -> Failure {
    let again = format!("run auth-login {} again", slot.number());
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let (exit, remedy) = if has(&["429"]) {
        (
            Exit::TryAgain,
            "too many codes were asked for: wait half an hour, for each try prolongs the lock".into(),
        )
    } else if has(&["15 minutes", "expired"]) {
        (Exit::Failed, format!("the code was not used within its 15 minutes: {again}"))
    } else if has(&["error sending request", "dns", "connect", "timed out"]) {
        (Exit::TryAgain, format!("no answer: check the network, HTTPS_PROXY and SSL_CERT_FILE, then {again}"))
    } else if has(&["status 401", "status 403", "denied"]) {
        (Exit::Failed, format!("the sign-in was denied: {again} and allow it in the browser"))
    } else if has(&["not enabled", "status 404"]) {
        let where_to = "switch on device code authorization in ChatGPT's security (or workspace) settings";
        (Exit::Failed, format!("{where_to}, then {again}"))
    } else if has(&["status 5"]) {
        (Exit::TryAgain, format!("the server is in trouble: wait a minute, then {again}"))
    } else {
        (Exit::Failed, format!("if it makes no sense, {again}"))
    };
    Failure { exit, error: anyhow!("codex login failed: {reason}: {remedy}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_of_codex_says_what_to_do() {
        for (reason, exit, remedy) in [
            ("device auth failed with status 401 Unauthorized", Exit::Failed, "allow it in the browser"),
            ("device auth failed with status 429 Too Many Requests", Exit::TryAgain, "wait half an hour"),
            (
                "device code request failed with status 429 Too Many Requests",
                Exit::TryAgain,
                "wait half an hour",
            ),
            (
                "device auth failed with status 500 Internal Server Error",
                Exit::TryAgain,
                "server is in trouble",
            ),
            ("device auth timed out after 15 minutes", Exit::Failed, "not used within its 15 minutes"),
            ("error sending request for url (https://x/)", Exit::TryAgain, "check the network"),
            (
                "device code login is not enabled for this Codex server.",
                Exit::Failed,
                "security (or workspace)",
            ),
            ("exit status: 101", Exit::Failed, "run auth-login 1 again"),
        ] {
            let failure = failure(Slot::FIRST, reason);
            assert_eq!(failure.exit, exit, "{reason}");
            let said = failure.error.to_string();
            assert!(said.contains(reason) && said.contains(remedy), "{said}");
        }
    }
}
