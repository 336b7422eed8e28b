//! A pod without a container: a volume, memory for private homes, the utilities as shipped, and OpenAI's stand-in.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assert_cmd::assert::Assert;
use fixture::workspace::{binaries, shipped, tool};
use fixture::{Pool, Running, files_below};
use tempfile::TempDir;

/// A volume on which the release binaries work, and the private memory beside it.
pub struct Pod {
    pool: Pool,
    memory: TempDir,
}

impl Pod {
    /// One in which nobody has signed in.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Pool::new())
    }

    /// One whose volume is on the file system of this directory.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self::of(Pool::in_directory(directory))
    }

    fn of(pool: Pool) -> Self {
        let memory = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
        Self { pool, memory: tempfile::tempdir_in(memory).unwrap() }
    }

    /// One of the utilities, in this pod's environment and no other.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        self.program(shipped(name))
    }

    /// What a person types, in this pod's environment and no other.
    #[must_use]
    pub fn shell(&self, typed: &str) -> Command {
        let mut shell = self.program("/bin/sh");
        shell.args(["-c", typed]);
        shell
    }

    fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.pool.command(program);
        command
            .env("PATH", format!("{}:/usr/bin:/bin", binaries().display()))
            .env("TMPDIR", self.memory.path())
            .env("CODEX_BIN", codex());
        command
    }

    /// `auth-login ARGS -- --experimental_issuer STAND-IN`.
    #[must_use]
    pub fn auth_login(&self, args: &[&str]) -> Command {
        let mut command = self.command("auth-login");
        command.args(args).args(["--", "--experimental_issuer", self.openai.url()]);
        command
    }

    /// Signs an account in through the real codex.
    pub fn sign_in(&self, slot: u32, email: &str) {
        self.openai.approve_next(email);
        assert_cmd::Command::from_std(self.auth_login(&[&slot.to_string()])).assert().success();
    }

    /// What a pass ends with.
    #[must_use]
    pub fn rotate_once(&self, args: &[&str]) -> Assert {
        assert_cmd::Command::from_std(self.command("rotate-once")).args(args).assert()
    }

    /// `idle` running `rotate-once`, as the sidecar does.
    #[must_use]
    pub fn sidecar(&self) -> Running {
        self.sidecar_that_tells("")
    }

    /// The same, telling this command of events.
    #[must_use]
    pub fn sidecar_that_tells(&self, command: &str) -> Running {
        self.sidecar_with(&[("CODEX_EVENT_COMMAND", command)])
    }

    /// The same, with more in its environment.
    #[must_use]
    pub fn sidecar_with(&self, environment: &[(&str, &str)]) -> Running {
        let log = File::create(self.file("log")).unwrap();
        let mut idle = self.command("idle");
        idle.envs(environment.iter().copied());
        idle.args(["--every", "30m", "--wake-on"]).arg(self.file("rotate-now")).args(["--", "rotate-once"]);
        Running(idle.stdin(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// The lines of the sidecar's log that have this in them.
    #[must_use]
    pub fn logged(&self, words: &str) -> Vec<String> {
        self.read("log").lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }

    /// Everything on the volume and in memory that holds a token the stand-in issued: file by file, sorted.
    #[must_use]
    pub fn files_with_tokens(&self) -> Vec<String> {
        let mut found = Vec::new();
        for root in [self.path(), self.memory.path()] {
            for (path, content) in files_below(root) {
                // Each token of the stand-in is one of these.
                if content.windows(12).any(|bytes| bytes == b"rt-stand-in-")
                    || content.windows(4).any(|b| b == b"eyJh")
                {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        found
    }

    /// Whether no login left anything in memory.
    #[must_use]
    pub fn memory_is_empty(&self) -> bool {
        fs::read_dir(self.memory.path()).unwrap().next().is_none()
    }
}

impl Default for Pod {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Pod {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.pool
    }
}

/// The real codex.
#[must_use]
pub fn codex() -> PathBuf {
    tool("codex/codex")
}
