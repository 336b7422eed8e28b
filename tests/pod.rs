//! A pod without a container: a volume, memory for private homes, the utilities as shipped, and OpenAI's stand-in.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use stand_in::StandIn;
use tempfile::TempDir;

pub(crate) use crate::workspace::{binaries, repository, shipped, tool, wait_until};

pub(crate) struct Pod {
    pub(crate) openai: StandIn,
    volume: TempDir,
    memory: TempDir,
}

impl Pod {
    pub(crate) fn new() -> Self {
        Self::in_directory(&env::temp_dir())
    }

    /// One whose volume is on the file system of this directory.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        let memory = if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" };
        Self {
            openai: StandIn::start(),
            volume: tempfile::tempdir_in(directory).unwrap(),
            memory: tempfile::tempdir_in(memory).unwrap(),
        }
    }

    pub(crate) fn volume(&self) -> &Path {
        self.volume.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.volume().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// One of the utilities, in this pod's environment and no other.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(shipped(name));
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", binaries().display()))
            .env("TMPDIR", self.memory.path())
            .env("CHATGPT_AUTH_DIR", self.volume())
            .env("CODEX_BIN", codex())
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", self.openai.refresh_url());
        command
    }

    /// `auth-login ARGS -- --experimental_issuer STAND-IN`.
    pub(crate) fn auth_login(&self, args: &[&str]) -> Command {
        let mut command = self.command("auth-login");
        command.args(args).args(["--", "--experimental_issuer", self.openai.url()]);
        command
    }

    /// Signs an account in through the real codex.
    pub(crate) fn sign_in(&self, slot: u32, email: &str) {
        self.openai.approve_next(email);
        assert_cmd::Command::from_std(self.auth_login(&[&slot.to_string()])).assert().success();
    }

    /// Puts a login on the volume as codex would have written it, without the ceremony.
    pub(crate) fn put_login(&self, slot: u32, email: &str) {
        let login = self.openai.sign_in(email).codex_auth_json(self.openai.url());
        let path = self.file(&format!("auth-{slot}.json"));
        fs::write(&path, login.to_string()).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn rotate_once(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        assert_cmd::Command::from_std(self.command("rotate-once")).args(args).assert()
    }

    /// `idle` running `rotate-once`, as the sidecar does.
    pub(crate) fn sidecar(&self) -> Running {
        self.sidecar_that_tells("")
    }

    /// The same, telling this command of events.
    pub(crate) fn sidecar_that_tells(&self, command: &str) -> Running {
        self.sidecar_with(&[("CODEX_EVENT_COMMAND", command)])
    }

    /// The same, with more in its environment.
    pub(crate) fn sidecar_with(&self, environment: &[(&str, &str)]) -> Running {
        let log = File::create(self.file("log")).unwrap();
        let mut idle = self.command("idle");
        idle.envs(environment.iter().copied());
        idle.args(["--every", "30m", "--wake-on"]).arg(self.file("rotate-now")).args(["--", "rotate-once"]);
        Running(idle.stdin(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// The lines of the sidecar's log that have this in them.
    pub(crate) fn logged(&self, words: &str) -> Vec<String> {
        self.read("log").lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }

    /// Everything on the volume and in memory that holds a token the stand-in issued: file by file, sorted.
    pub(crate) fn files_with_tokens(&self) -> Vec<String> {
        let mut found = Vec::new();
        for root in [self.volume.path(), self.memory.path()] {
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

    /// The names of what lies on the volume, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.volume()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        // What is known of grants that have ended stays, and is no leftover.
        names.retain(|name| !(name.starts_with(".grant-") && name.contains(".ended")));
        names.sort();
        names
    }

    /// Whether no login left anything in memory.
    pub(crate) fn memory_is_empty(&self) -> bool {
        fs::read_dir(self.memory.path()).unwrap().next().is_none()
    }
}

pub(crate) fn files_below(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    // A file may vanish while it is looked at: its owner is being killed or is cleaning up.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => {
                files.extend(fs::read(entry.path()).map(|content| (entry.path(), content)));
            }
            _ => {}
        }
    }
    files
}

/// A child that is ended with the test, whatever the test came to.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn codex() -> PathBuf {
    tool("codex/codex")
}
