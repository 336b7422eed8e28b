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
use crate::private_home::PrivateHome;
use crate::stderr_relay::StderrRelay;
use crate::stdout_relay::StdoutRelay;
use crate::stop::{Ended, Stop, StopRequests};

/// How long codex may take to end after SIGTERM.
const END_WAIT: Duration = Duration::from_secs(2);

/// The codex program.
#[derive(Debug)]
pub(crate) struct Codex {
    program: PathBuf,
}

impl Codex {
    /// Finds codex and checks that it runs.
    ///
    /// # Errors
    /// There is no such program, or it is not codex.
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

    /// Runs the login to its end. What codex prints appears at once, but for the reason of a failure, which is held
    /// back until it can be printed with its remedy.
    ///
    /// # Errors
    /// It was stopped, codex cannot be run, or it failed.
    pub(crate) fn login(
        &self,
        slot: Slot,
        home: &PrivateHome,
        args: &[OsString],
        stops: &mut StopRequests<'_>,
    ) -> Result<(), Ended> {
        stops.watch_connection();
        if let Some(stop) = stops.arrived() {
            return Err(Ended::Stopped(stop));
        }
        let mut codex =
            self.command(home, args).spawn().context("cannot start codex").or_exit(Exit::Failed)?;
        let stdout = codex.stdout.take().map(|output| StdoutRelay::start(output, io::stdout()));
        let stderr = StderrRelay::start(codex.stderr.take().expect("it was piped"), io::stderr());
        let (status, stopped) =
            wait(&mut codex, stops).context("cannot wait for codex").or_exit(Exit::Failed)?;
        let reason = stderr.reason();
        if let Some(stdout) = stdout {
            stdout.finish();
        }
        match stopped {
            // Even if codex succeeded: `--abort` has reported that nothing is stored.
            Some(Stop::Requested) => Err(Ended::Stopped(Stop::Requested)),
            _ if status.success() => Ok(()),
            Some(stop) => Err(Ended::Stopped(stop)),
            None => Err(failure::of(slot, &reason.unwrap_or_else(|| status.to_string())).into()),
        }
    }

    fn command(&self, home: &PrivateHome, args: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        // With "ephemeral" as a default, codex would report success and write nothing.
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

/// Makes the kernel kill codex if this process is killed, because codex would write a login that is never stored.
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

/// Waits for codex. When the login must stop, codex gets SIGTERM, and SIGKILL if that does not help.
fn wait(codex: &mut Child, stops: &mut StopRequests<'_>) -> io::Result<(ExitStatus, Option<Stop>)> {
    let pid = Pid::from_raw(codex.id().try_into().map_err(io::Error::other)?);
    let mut stopped: Option<(Stop, Instant)> = None;
    loop {
        // Checked first: a request that arrives later ends the wait below at once.
        let stop = stops.arrived();
        if let Some(status) = codex.try_wait()? {
            return Ok((status, stopped.map(|(stop, _)| stop)));
        }
        // Codex has not been reaped, so the number is still its own.
        match (stop, stopped) {
            (_, Some((_, since))) if since.elapsed() > END_WAIT => kill(pid, Signal::SIGKILL)?,
            (Some(stop), None) => {
                stopped = Some((stop, Instant::now()));
                kill(pid, Signal::SIGTERM)?;
            }
            _ => {}
        }
        stops.wait();
    }
}
