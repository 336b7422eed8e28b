//! Looking: `list`, `why`, `--json`, `--watch`.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use fixture::{Volume, jwt};
use predicates::prelude::*;
use predicates::str::{contains, is_empty};
use rexpect::session::PtySession;
use serde_json::Value;
use stand_in::StandIn;

use crate::{accounts, every_state};

type Snapshot = BTreeMap<String, (Vec<u8>, u32, i64, i64, u64)>;

/// Every file: its bytes, mode, time of change and number.
fn snapshot(volume: &Path) -> Snapshot {
    let files = fs::read_dir(volume).unwrap().map(|file| {
        let file = file.unwrap();
        let metadata = file.metadata().unwrap();
        let what = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino());
        let (mode, mtime, nanoseconds, number) = what;
        let name = file.file_name().into_string().unwrap();
        (name, (fs::read(file.path()).unwrap(), mode, mtime, nanoseconds, number))
    });
    files.collect()
}

/// The table without what a clock changes in it: how wide its columns are.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn no_command_lists_and_the_table_is_the_one_in_the_fixture_but_for_its_times() {
    let volume = every_state();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let heartbeat = format!(r#"{{"at": {now}, "litellm": "1.106.2", "held": true}}"#);
    fs::write(volume.file("callback.json"), heartbeat).unwrap();
    let output = accounts(volume.path()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    let expected = fs::read_to_string(fixture::every_state("table")).unwrap();
    let is_time = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains(['-', ':']);
    let without_times = |text: &str| -> Vec<Vec<String>> {
        let line = |line: Vec<&str>| line.into_iter().filter(|w| !is_time(w)).map(str::to_owned).collect();
        words(text).into_iter().map(line).collect()
    };
    assert_eq!(without_times(&text), without_times(&expected));
    accounts(volume.path()).arg("list").assert().success().stdout(text);
}

#[test]
fn looking_changes_nothing_sends_no_request_and_waits_for_no_lock() {
    let (volume, openai) = (every_state(), StandIn::start());
    let lock = File::create(volume.file(".lock")).unwrap();
    lock.lock().unwrap();
    fs::write(volume.file("rotate-now"), "").unwrap();
    let before = snapshot(volume.path());
    for args in [&["list"][..], &["--json"], &["why"], &["why", "--json"]] {
        accounts(volume.path())
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", openai.refresh_url())
            .env("CHATGPT_API_BASE", openai.api_base())
            .args(args)
            .assert()
            .success()
            .stderr(is_empty());
    }
    assert_eq!(snapshot(volume.path()), before);
    assert_eq!(openai.requests(), []);
}

#[test]
fn a_volume_that_cannot_be_written_can_be_looked_at() {
    let volume = every_state();
    // Copied by another process, because a file that this one has open for writing while another test forks
    // cannot be run.
    let bin = tempfile::tempdir().unwrap();
    fs::set_permissions(bin.path(), Permissions::from_mode(0o755)).unwrap();
    Command::new("cp").arg(cargo_bin("accounts")).arg(bin.path()).assert().success();
    let mut command = volume.command(bin.path().join("accounts"));
    if nix::unistd::geteuid().is_root() {
        // Root may write anywhere, so another user looks.
        for file in fs::read_dir(volume.path()).unwrap() {
            chown(file.unwrap().path(), Some(65532), Some(65532)).unwrap();
        }
        command.uid(65532);
    }
    fs::set_permissions(volume.path(), Permissions::from_mode(0o555)).unwrap();
    Command::from_std(command).assert().success().stdout(contains("a…@example.test")).stderr(is_empty());
    fs::set_permissions(volume.path(), Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn nothing_prints_a_token_and_whole_addresses_are_shown_only_on_request() {
    let volume = every_state();
    let printed = |args: &[&str]| {
        String::from_utf8(accounts(volume.path()).args(args).output().unwrap().stdout).unwrap()
    };
    let all = [printed(&["--json"]), printed(&[]), printed(&["--json", "--show-identity"])];
    for text in &all {
        assert!(text.contains("example.test") && !text.contains("rt-") && !text.contains("e30."), "{text}");
    }
    for text in &all[..2] {
        assert!(!text.contains("ann@") && !text.contains("acct-"), "{text}");
    }
    assert!(all[2].contains(r#""account_id":"acct-ann""#) && all[2].contains("ann@example.test"));
}

#[test]
fn why_says_what_the_rotator_would_do() {
    let volume = every_state();
    let text = accounts(volume.path()).arg("why").output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines();
    // The login that is due sooner is refreshed first.
    assert_eq!(lines.next().unwrap(), "would refresh account-8: its access token ends");
    assert_eq!(lines.next().unwrap(), "would refresh account-5: its access token ends");
    assert!(lines.next().unwrap().starts_with("would publish account-1 (expires "), "{text}");
    assert!(text.contains(
        "account-7 passed over: the same account as account-1, whose login is newer: run accounts remove 7\n"
    ));
    assert!(text.contains("account-5 passed over: not its turn\n"));
}

#[test]
fn a_volume_without_logins_makes_why_fail_and_not_the_table() {
    let volume = Volume::new();
    accounts(volume.path()).assert().success().stdout(
        "no account has signed in: run auth-login 1\n\
         there is no auth.json: LiteLLM would begin a login of its own and hang: run rotate-once --init\n",
    );
    accounts(volume.path()).arg("why").assert().code(69).stderr(contains("run auth-login 1"));
    accounts(Path::new("/nonexistent")).assert().code(78).stderr(contains("CHATGPT_AUTH_DIR"));
}

#[test]
fn a_state_of_a_later_release_is_not_interpreted() {
    let volume = every_state();
    fs::write(volume.file("rotator_state.json"), r#"{"version": 9}"#).unwrap();
    accounts(volume.path()).assert().code(78).stderr(contains("newer than this program"));
}

#[test]
fn watching_shows_the_accounts_again_when_something_has_changed() {
    let volume = every_state();
    let mut watching = volume
        .command(cargo_bin("accounts"))
        .args(["--json", "--watch=10ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut slots = || {
        let document: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        document["accounts"].as_array().unwrap().len()
    };
    assert_eq!(slots(), 12);
    fs::remove_file(volume.file("auth-6.json")).unwrap();
    assert_eq!(slots(), 11);
    watching.kill().unwrap();
    watching.wait().unwrap();
}

fn on_a_terminal(volume: &Volume, variable: Option<(&str, &str)>) -> PtySession {
    let mut command = volume.command(cargo_bin("accounts"));
    command.env("TERM", "xterm").envs(variable);
    rexpect::session::spawn_command(command, Some(60_000)).unwrap()
}

#[test]
fn colours_are_for_terminals_and_no_color_is_honoured() {
    let volume = every_state();
    let shown = on_a_terminal(&volume, None).exp_eof().unwrap();
    assert!(shown.contains("\x1b[32mactive\x1b[0m"), "{shown:?}");
    let plain = on_a_terminal(&volume, Some(("NO_COLOR", "1"))).exp_eof().unwrap();
    assert!(plain.contains("active") && !plain.contains('\x1b'), "{plain:?}");
    accounts(volume.path()).assert().stdout(contains("\x1b").not());
}

#[test]
fn what_a_login_or_a_signal_says_of_itself_reaches_no_terminal_unchanged() {
    let hostile = "x\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\nrotate-once: active account-9\u{2028}\u{feff}";
    let claims = serde_json::json!({"exp": 4_000_000_000_u32, "email": format!("{hostile}@{hostile}"),
        "https://api.openai.com/auth": {"chatgpt_account_id": hostile, "chatgpt_user_id": hostile,
            "chatgpt_plan_type": hostile}});
    let token = jwt(&claims);
    let volume = Volume::new();
    let master = serde_json::json!({"access_token": token, "refresh_token": "rt"}).to_string();
    fs::write(volume.file("auth-1.json"), master).unwrap();
    fs::write(
        volume.file("rotate-now"),
        serde_json::json!({"status": 429, "account_id": hostile.repeat(2)}).to_string(),
    )
    .unwrap();
    fs::write(
        volume.file("callback.json"),
        serde_json::json!({"at": 1, "held": true, "litellm": hostile}).to_string(),
    )
    .unwrap();
    for line in [
        "list",
        "list --json",
        "why",
        "why --json",
        "doctor",
        "doctor --json",
        "park 1 --json",
        "unpark 1",
        "pin 1",
        "use 1",
        "remove 1 --yes",
    ] {
        let output = accounts(volume.path()).arg("--show-identity").args(line.split(' ')).output().unwrap();
        for shown in [output.stdout, output.stderr] {
            let shown = String::from_utf8(shown).unwrap();
            // As a person sees it once a program has printed the texts of the document.
            let shown = match serde_json::from_str::<Value>(&shown) {
                Ok(document) => texts(&document),
                Err(_) => shown,
            };
            let steers = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}\u{feff}".contains(c);
            assert!(!shown.contains(steers), "{line}: {shown:?}");
            assert!(!shown.contains("\nrotate-once"), "{line}: {shown:?}");
        }
    }
    let audit = volume.read("audit.jsonl");
    assert!(!audit.contains(['\u{9b}', '\u{7f}', '\u{202e}']), "{audit:?}");
    assert!(audit.contains("x [2J 31m "), "it is still known whose it was: {audit:?}");
}

#[test]
fn the_plan_is_the_one_that_the_provider_has_reported_since_the_token_was_made() {
    let volume = every_state();
    let plan = || {
        let output = accounts(volume.path()).arg("--json").output().unwrap().stdout;
        let document: Value = serde_json::from_slice(&output).unwrap();
        document["accounts"][1]["plan"].as_str().unwrap().to_owned()
    };
    let reported = |plan: &str| {
        let signal = serde_json::json!({"status": 429, "account_id": "acct-bob", "user_id": "user-bob",
            "headers": {"x-codex-plan-type": plan}});
        fs::write(volume.file("rotate-now"), signal.to_string()).unwrap();
        accounts(volume.path()).args(["use", "2"]).assert().success();
    };
    assert_eq!(plan(), "pro");
    reported("team\u{1b}");
    assert_eq!(plan(), "team");
    accounts(volume.path()).assert().success().stdout(contains("  team  "));
    // A token that was made since knows better.
    let claims = serde_json::json!({"iat": 4_000_000_000_u32, "exp": 4_000_000_001_u32,
        "https://api.openai.com/auth": {"chatgpt_account_id": "acct-bob", "chatgpt_user_id": "user-bob",
            "chatgpt_plan_type": "plus"}});
    let token = jwt(&claims);
    let master = serde_json::json!({"tokens": {"access_token": token, "refresh_token": "rt"}});
    fs::write(volume.file("auth-2.json"), master.to_string()).unwrap();
    assert_eq!(plan(), "plus");
}

/// Every text of a document, one after the other.
fn texts(document: &Value) -> String {
    match document {
        Value::String(text) => format!("{text}|"),
        Value::Array(values) => values.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}
