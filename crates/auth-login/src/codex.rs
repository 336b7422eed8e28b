//! The real codex: finding it and running its login.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cli::exit::{Exit, Failure, OrExit as _};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use records::{Slot, env_fed};

use crate::failure;
use crate::last_word::LastWord;
use crate::private_home::PrivateHome;
use crate::relay::Relay;
use crate::watch::{Ended, Stop, Watch};

/// How long codex may take to end when it was asked to.
const PATIENCE: Duration = Duration::from_secs(2);

/// The codex program.
#[derive(Debug)]
pub(crate) struct Codex {
    program: PathBuf,
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
    /// It was stopped, codex cannot be run, or it failed.
    pub(crate) fn login(
        &self,
        slot: Slot,
        home: &PrivateHome,
        args: &[OsString],
        watch: &mut Watch<'_>,
    ) -> Result<(), Ended> {
        watch.meet_person();
        if let Some(stop) = watch.stop() {
            return Err(Ended::Stopped(stop));
        }
        let mut codex =
            self.command(home, args).spawn().context("cannot start codex").or_exit(Exit::Failed)?;
        let relay = codex.stdout.take().map(|output| Relay::start(output, io::stdout()));
        let last_word = LastWord::listen(codex.stderr.take().expect("it was piped"), io::stderr());
        let (status, stopped) =
            wait(&mut codex, watch).context("cannot wait for codex").or_exit(Exit::Failed)?;
        let reason = last_word.heard();
        if let Some(relay) = relay {
            relay.finish();
        }
        match stopped {
            // To the one who asked it was said that nothing is stored.
            Some(Stop::Asked) => Err(Ended::Stopped(Stop::Asked)),
            _ if status.success() => Ok(()),
            Some(stop) => Err(Ended::Stopped(stop)),
            None => Err(failure::of(slot, &reason.unwrap_or_else(|| status.to_string())).into()),
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
        if !io::stdout().is_terminal() {
            command.stdout(Stdio::piped());
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

/// Waits for codex, and asks it to end when the login must stop; what does not listen is killed.
fn wait(codex: &mut Child, watch: &mut Watch<'_>) -> io::Result<(ExitStatus, Option<Stop>)> {
    let pid = Pid::from_raw(codex.id().try_into().map_err(io::Error::other)?);
    let mut stopped: Option<(Stop, Instant)> = None;
    loop {
        // Looked for first: what arrives after this ends the rest at once.
        let stop = watch.stop();
        if let Some(status) = codex.try_wait()? {
            return Ok((status, stopped.map(|(stop, _)| stop)));
        }
        // Not yet waited for, so the number is still codex's own.
        match (stop, stopped) {
            (_, Some((_, since))) if since.elapsed() > PATIENCE => kill(pid, Signal::SIGKILL)?,
            (Some(stop), None) => {
                stopped = Some((stop, Instant::now()));
                kill(pid, Signal::SIGTERM)?;
            }
            _ => {}
        }
        watch.rest();
    }
}
