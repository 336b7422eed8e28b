//! A follower that runs beside a test.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use fixture::{Running, Volume, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::api_server::{ApiServer, record};

/// A follower with two lanes, and the directory that LiteLLM would see. It ends with the test.
pub(crate) struct Follower {
    pub(crate) volume: Volume,
    log: Volume,
    process: Running,
}

impl Follower {
    pub(crate) fn start(server: &ApiServer) -> Self {
        Self::with(server, Volume::new(), &[])
    }

    /// One with a directory from before, and more arguments.
    pub(crate) fn with(server: &ApiServer, volume: Volume, more: &[&str]) -> Self {
        let log = Volume::new();
        let process = command(server, &volume)
            .args(more)
            .stderr(File::create(log.file("log")).unwrap())
            .spawn()
            .unwrap();
        Self { volume, log, process: Running(process) }
    }

    /// Waits until LiteLLM sees these accounts.
    pub(crate) fn has(&self, accounts: [&str; 2]) {
        wait_until("the records are there", || self.records() == accounts.map(record));
    }

    /// The records of the lanes.
    pub(crate) fn records(&self) -> [Value; 2] {
        ["lane-1.json", "lane-2.json"].map(|name| self.volume.json_or_null(name))
    }

    /// Waits until the log has this line.
    pub(crate) fn says(&self, line: &str) {
        wait_until(line, || self.lines().iter().any(|it| it == line));
    }

    /// The lines of the log.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log
            .read("log")
            .lines()
            .map(|line| line.trim_start_matches("lane-follower: ").to_owned())
            .collect()
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it has ended", || {
            status = self.process.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Sends SIGTERM, and waits until it has ended.
    pub(crate) fn stop(&mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        kill(Pid::from_raw(self.process.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let status = self.end();
        assert_eq!(status.signal(), None);
        (status.code(), asked.elapsed())
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// The command of a follower with two lanes.
pub(crate) fn command(server: &ApiServer, volume: &Volume) -> Command {
    let mut command = Command::new(cargo_bin("lane-follower"));
    command.env_clear().envs(server.account.variables());
    command.env("CHATGPT_LIVE_DIR", volume.path()).env("CODEX_LANES", "2");
    command.arg("--service-account").arg(server.account.path());
    command
}
