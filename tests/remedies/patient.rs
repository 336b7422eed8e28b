//! A pod in which something is wrong: what is found, and what a person types.

use std::ffi::OsString;
use std::fs::File;
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use fixture::{codex_that, now};
use nix::fcntl::{Flock, FlockArg};
use overview::finding::Id;
use rexpect::{ReadUntil, session::spawn_command};
use serde_json::{Value, json};
use support::pod::{Pod, codex};
use tempfile::TempDir;

/// One.
pub(crate) struct Patient {
    pod: Pod,
    /// A codex that signs in at the stand-in: what a finding names has no such argument.
    codex: TempDir,
    environment: Vec<(&'static str, OsString)>,
    /// Another process's hold on the volume's lock.
    lock: Option<Flock<File>>,
}

/// A finding, as scripts get it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) slot: Option<u64>,
    pub(crate) command: Option<String>,
}

impl Patient {
    /// The pod after this was done to it.
    pub(crate) fn of(make: fn(&mut Self)) -> Self {
        let pod = Pod::new();
        let directory = tempfile::tempdir().unwrap();
        let issuer = pod.openai.url();
        let _ = codex_that(
            directory.path(),
            &format!("exec {} \"$@\" --experimental_issuer {issuer}", codex().display()),
        );
        let environment = vec![("CHATGPT_API_BASE", pod.openai.api_base().into())];
        let mut patient = Self { pod, codex: directory, environment, lock: None };
        make(&mut patient);
        patient
    }

    /// Sets a variable for all that is run from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.environment.push((name, value.into()));
    }

    /// Holds the volume's lock, as a command that hangs does.
    pub(crate) fn hold_lock(&mut self) {
        let lock = File::open(self.file(".lock")).unwrap();
        self.lock = Some(Flock::lock(lock, FlockArg::LockExclusive).unwrap());
    }

    /// What is wrong by the doctor, who asks the provider, and what is worth knowing by the list.
    pub(crate) fn findings(&self) -> Vec<Found> {
        let of = |typed: &str| -> Vec<Value> {
            let document: Value = serde_json::from_str(&self.said(typed)).unwrap_or_default();
            document["findings"].as_array().cloned().unwrap_or_default()
        };
        let notices = of("accounts --json").into_iter().filter(|finding| finding["severity"] == "notice");
        let findings = of("accounts doctor --json --probe").into_iter().chain(notices);
        findings.map(|finding| Found::read(&finding)).collect()
    }

    /// The first finding of a kind.
    pub(crate) fn finding(&self, id: Id) -> Option<Found> {
        self.findings().into_iter().find(|found| found.id == id.name())
    }

    /// The slots that have a file.
    pub(crate) fn slots(&self) -> Vec<u32> {
        let names = self.names().into_iter();
        names.filter_map(|name| name.strip_prefix("auth-")?.strip_suffix(".json")?.parse().ok()).collect()
    }

    /// What a command prints on standard output, which asks nothing.
    pub(crate) fn said(&self, typed: &str) -> String {
        let output = self.shell(typed).stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a command on a terminal, and says yes to what it asks. Gives what is seen there.
    pub(crate) fn type_in(&self, typed: &str) -> String {
        let mut terminal = spawn_command(self.shell(typed), Some(60_000)).unwrap();
        let mut seen = String::new();
        loop {
            let question = ReadUntil::String("[y/N] ".to_owned());
            let (before, found) = terminal.exp_any(vec![question, ReadUntil::EOF]).unwrap();
            seen += &format!("{before}{found}").replace('\r', "");
            if !found.ends_with("[y/N] ") {
                return seen;
            }
            terminal.send_line("y").unwrap();
        }
    }

    /// Has the rotator know this of an account, beside what it knew.
    pub(crate) fn know(&self, who: &str, what: &Value) {
        let mut accounts = match self.json_or_null("rotator_state.json")["accounts"].take() {
            Value::Array(accounts) => accounts,
            _ => Vec::new(),
        };
        let mut account = json!({"account_id": format!("acct-{who}"), "user_id": format!("user-{who}")});
        account.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        accounts.push(account);
        self.remember("accounts", accounts.into());
    }

    /// Has the rotator know this of the pool.
    pub(crate) fn remember(&self, what: &str, value: Value) {
        let mut state = self.json_or_null("rotator_state.json");
        state["version"] = 1.into();
        state[what] = value;
        self.write("rotator_state.json", state.to_string());
    }

    /// Dates a file so many seconds back, or ahead.
    pub(crate) fn age(&self, name: &str, seconds: i64) {
        let time = UNIX_EPOCH + Duration::from_secs((now() - seconds).unsigned_abs());
        File::open(self.file(name)).unwrap().set_modified(time).unwrap();
    }

    /// All that a failed test should show.
    pub(crate) fn everything(&self) -> String {
        let seen = ["ls -la \"$CHATGPT_AUTH_DIR\"", "accounts doctor --probe", "accounts why"];
        seen.map(|typed| format!("$ {typed}\n{}", self.said(typed))).concat()
    }

    fn shell(&self, typed: &str) -> Command {
        let mut shell = self.pod.shell(typed);
        shell.env("CODEX_BIN", self.codex.path().join("codex"));
        shell.envs(self.environment.iter().map(|(name, value)| (name, value)));
        shell
    }
}

impl Found {
    fn read(finding: &Value) -> Self {
        Self {
            id: finding["id"].as_str().unwrap().to_owned(),
            slot: finding["slot"].as_u64(),
            command: finding["command"].as_str().map(str::to_owned),
        }
    }

    /// Whether it is the same thing, whatever is said of it.
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        self.id == other.id && self.slot == other.slot
    }
}

impl Deref for Patient {
    type Target = Pod;

    fn deref(&self) -> &Pod {
        &self.pod
    }
}
