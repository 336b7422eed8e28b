//! What depends on more than the files: the environment, users, modes and other processes.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use assert_cmd::Command;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use fixture::{Volume, files_below};
use predicates::prelude::*;
use predicates::str::{contains, is_empty};

const ANN: &str = r#"{"access_token": "token of ann", "account_id": "acct-ann", "expires_at": 4070908800}"#;

/// Claims: `{"exp":4070908800,"https://api.openai.com/auth":{"chatgpt_account_id":"acct-env"}}`.
const JWT: &str = "e30.eyJleHAiOjQwNzA5MDg4MDAsImh0dHBzOi8vYXBpLm9wZW5haS5jb20vYXV0aCI6eyJjaGF0Z3B0X2FjY291bnRfaWQiOiJhY2N0LWVudiJ9fQ.c2ln";

fn rotate_once(volume: &Path) -> Command {
    let mut command = cargo_bin_cmd!("rotate-once");
    command.env_clear().env("CHATGPT_AUTH_DIR", volume);
    command
}

fn volume_of_ann() -> Volume {
    let volume = Volume::new();
    volume.write("auth-1.json", ANN);
    volume
}

#[test]
fn a_duration_that_is_too_long_is_wrong_usage() {
    let volume = volume_of_ann();
    for variable in ["CODEX_REFRESH_BEFORE_SEC", "CODEX_CAP_COOLDOWN_SEC", "CODEX_TRANSIENT_COOLDOWN_SEC"] {
        for (value, said) in [
            ("18446744073709551615", "expected at most 10 years"),
            ("99999999999999999 s", "expected at most 10 years"),
            ("1e400", "expected 30m"),
            ("-1", "expected 30m"),
        ] {
            rotate_once(volume.path()).env(variable, value).assert().code(2).stderr(contains(said));
        }
        for value in ["0", "", "10y"] {
            rotate_once(volume.path()).env(variable, value).arg("--init").assert().success();
        }
    }
}

#[test]
fn the_digest_for_the_page_is_left_without_a_lock_and_changes_nothing_on_the_volume() {
    let volume = volume_of_ann();
    rotate_once(volume.path()).assert().success();
    let lock = File::open(volume.file(".lock")).unwrap();
    lock.lock().unwrap();
    volume.write("rotate-now", "");
    let (before, directory) = (files_below(volume.path()), Volume::new());
    // What a process has left that was killed half-way.
    directory.write(".digest.json.00000000-7-1-0.new", "half");
    let long_ago = SystemTime::now() - Duration::from_hours(1);
    File::open(directory.file(".digest.json.00000000-7-1-0.new")).unwrap().set_modified(long_ago).unwrap();
    for (mode, expected) in [("", 0o600), ("640", 0o640)] {
        rotate_once(volume.path())
            .env("CHATGPT_PUBLISHED_MODE", mode)
            .args([Path::new("--digest"), directory.path()])
            .assert()
            .success()
            .stdout(is_empty())
            .stderr(is_empty());
        assert_eq!(
            (directory.names(), directory.mode("digest.json")),
            (vec!["digest.json".to_owned()], expected)
        );
    }
    assert_eq!(files_below(volume.path()), before);
    let digest = directory.json("digest.json");
    assert_eq!(digest["version"], 1);
    assert_eq!(digest["seen"]["volume"]["overview"]["published"]["account"], 1);
    let whole = directory.read("digest.json");
    assert!(!whole.contains("token of ann") && !whole.contains("acct-ann"), "{whole}");
    rotate_once(volume.path())
        .args([Path::new("--show-identity"), Path::new("--digest"), directory.path()])
        .assert()
        .success();
    assert!(directory.read("digest.json").contains("acct-ann"));
}

#[test]
fn a_volume_that_cannot_be_read_is_in_the_digest() {
    let directory = Volume::new();
    rotate_once(Path::new("/nonexistent")).args([Path::new("--digest"), directory.path()]).assert().success();
    assert_eq!(directory.json("digest.json")["seen"]["unreadable"]["id"], "volume-missing");
}

#[test]
fn a_digest_that_cannot_be_left_is_one_line_and_the_last_one_stays() {
    let volume = volume_of_ann();
    rotate_once(volume.path())
        .args(["--digest", "/nonexistent"])
        .assert()
        .code(73)
        .stderr(contains("cannot write /nonexistent/digest.json as user").and(contains("\n").count(1)));
    for other in ["--init", "--dry-run", "--json", "--to=1"] {
        rotate_once(volume.path()).args(["--digest", "/tmp", other]).assert().code(2);
    }
    rotate_once(volume.path()).arg("--show-identity").assert().code(2).stderr(contains("--digest <DIR>"));
}

#[test]
fn tokens_from_the_environment_serve_an_empty_volume_and_the_log_says_so() {
    let volume = Volume::new();
    rotate_once(volume.path())
        .env("OPENAI_CODEX_ACCESS_TOKEN_2", format!("{JWT}\r\n"))
        .env("OPENAI_CODEX_REFRESH_TOKEN_2", "rt")
        .assert()
        .success()
        .stderr(
            contains("using the tokens from the environment")
                .and(contains("active account-2 (expires 2099-01-01T00:00:00Z)")),
        );
    let published = volume.read("auth.json");
    assert_eq!(
        published,
        format!("{{\"access_token\":\"{JWT}\",\"account_id\":\"acct-env\",\"expires_at\":4102444800}}\n")
    );
}

#[test]
fn variables_that_hold_no_token_are_named_and_other_accounts_serve() {
    let volume = Volume::new();
    rotate_once(volume.path())
        .env("OPENAI_CODEX_ACCESS_TOKEN", format!("{{\"tokens\": {{\"access_token\": \"{JWT}\"}}}}"))
        .env("OPENAI_CODEX_ACCESS_TOKEN_2", format!("\"Bearer {JWT}\"\n"))
        .env("OPENAI_CODEX_REFRESH_TOKEN_3", "rt")
        .assert()
        .success()
        .stderr(
            contains("account-1 passed over: OPENAI_CODEX_ACCESS_TOKEN holds a whole auth.json: give its ")
                .and(contains("account-3 passed over: OPENAI_CODEX_REFRESH_TOKEN_3 without "))
                .and(contains("active account-2 (expires 2099-01-01T00:00:00Z)"))
                .and(contains("e30.").not()),
        );
}

#[test]
fn a_state_that_is_too_large_to_be_read_stops_the_pass_and_is_left_alone() {
    let volume = volume_of_ann();
    let state = volume.file("rotator_state.json");
    fs::File::create(&state).unwrap().set_len((16 << 20) + 1).unwrap();
    rotate_once(volume.path()).assert().code(78).stderr(format!(
        "rotate-once: {} is larger than 16 MiB, which no state of the rotator is: move it away, from a pod with a shell \
         that mounts the volume\n",
        state.display()
    ));
    assert_eq!(fs::metadata(&state).unwrap().len(), (16 << 20) + 1);
    assert!(!volume.file("auth.json").exists());
}

#[test]
fn a_login_on_the_volume_wins_over_the_environment() {
    let volume = volume_of_ann();
    rotate_once(volume.path())
        .env("OPENAI_CODEX_ACCESS_TOKEN", JWT)
        .assert()
        .success()
        .stderr("rotate-once: active account-1 (expires 2099-01-01T00:00:00Z)\n");
}

#[test]
fn an_opaque_token_from_the_environment_is_named_as_the_reason() {
    let volume = Volume::new();
    rotate_once(volume.path())
        .env("OPENAI_CODEX_ACCESS_TOKEN", "opaque-and-secret")
        .assert()
        .code(69)
        .stderr(contains("OPENAI_CODEX_ACCESS_TOKEN names no account").and(contains("secret").not()));
}

#[test]
fn the_record_gets_the_mode_that_was_asked_for_and_a_slot_is_narrowed() {
    let volume = volume_of_ann();
    volume.set_mode("auth-1.json", 0o644);
    rotate_once(volume.path())
        .env("CHATGPT_PUBLISHED_MODE", "0640")
        .assert()
        .success()
        .stderr(contains("account-1: others could read its file: narrowed to its owner\n"));
    assert_eq!(volume.mode("auth.json"), 0o640);
    assert_eq!(volume.mode("auth-1.json"), 0o600);
    rotate_once(volume.path()).assert().success();
    assert_eq!(volume.mode("auth.json"), 0o600, "the default is private");
}

#[test]
fn litellm_can_be_given_a_directory_of_its_own() {
    let (volume, live) = (volume_of_ann(), Volume::new());
    fs::write(live.file("rotate-now"), "").unwrap();
    rotate_once(volume.path()).env("CHATGPT_LIVE_DIR", live.path()).assert().success();
    assert_eq!(live.names(), ["auth.json", "pool.json"]);
    assert_eq!(volume.names(), [".last-pass", ".lock", "auth-1.json", "rotator_state.json"]);
}

#[test]
fn a_pass_that_ended_is_marked_also_if_there_was_no_account_to_publish() {
    let volume = Volume::new();
    let mark = volume.file(".last-pass");
    rotate_once(volume.path()).arg("--init").assert().success();
    rotate_once(volume.path()).arg("--dry-run").assert().code(69);
    assert!(!mark.exists(), "neither is a pass");
    rotate_once(volume.path()).assert().code(69);
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    File::open(&mark).unwrap().set_modified(an_hour_ago).unwrap();
    let marked = || fs::metadata(&mark).unwrap().modified().unwrap();
    rotate_once(volume.path()).args(["--auth-dir", "/nonexistent"]).assert().code(78);
    assert_eq!(marked(), an_hour_ago, "a pass that failed");
    rotate_once(volume.path()).assert().code(69);
    assert!(marked() > an_hour_ago);
    let writers: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    assert_eq!(writers.len(), 1, "one rotator is at work");
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let volume = volume_of_ann();
    rotate_once(volume.path())
        .envs([
            ("CHATGPT_LIVE_DIR", ""),
            ("CHATGPT_PUBLISHED_GROUP", ""),
            ("CHATGPT_PUBLISHED_MODE", ""),
            ("CODEX_CAP_COOLDOWN_SEC", ""),
            ("CODEX_REFRESH_BEFORE_SEC", ""),
        ])
        .assert()
        .success();
    assert!(volume.file("auth.json").exists());
}

#[test]
fn a_volume_that_is_not_there_is_bad_configuration() {
    rotate_once(Path::new("/nonexistent")).assert().code(78).stderr(
        "rotate-once: /nonexistent is not a directory: mount the volume there, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR\n",
    );
}

#[test]
fn a_volume_of_another_user_is_reported_with_the_user_that_tried() {
    let volume = volume_of_ann();
    fs::set_permissions(volume.path(), Permissions::from_mode(0o700)).unwrap();
    // The binary must be where that user can reach it. Copied by another process, because a file that this one
    // has open for writing while another test forks cannot be run.
    let bin = tempfile::tempdir().unwrap();
    fs::set_permissions(bin.path(), Permissions::from_mode(0o755)).unwrap();
    Command::new("cp").arg(cargo_bin("rotate-once")).arg(bin.path()).assert().success();
    let mut command = std::process::Command::new(bin.path().join("rotate-once"));
    command.env_clear().env("CHATGPT_AUTH_DIR", volume.path());
    let path = volume.path().display();
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65532);
        Command::from_std(command).assert().code(73).stderr(format!(
            "rotate-once: cannot write {path}/.lock as user 65532: Permission denied (os error 13)\n"
        ));
    } else {
        fs::set_permissions(volume.path(), Permissions::from_mode(0o000)).unwrap();
        Command::from_std(command).assert().code(73).stderr(contains("Permission denied (os error 13)\n"));
        fs::set_permissions(volume.path(), Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn another_writer_that_does_not_finish_is_waited_for_and_then_named() {
    let volume = volume_of_ann();
    let lock = File::create(volume.file(".lock")).unwrap();
    lock.lock().unwrap();
    rotate_once(volume.path()).assert().code(75).stderr(format!(
        "rotate-once: another process has held {}/.lock for 10 s: try again, or look for a command that hangs\n",
        volume.path().display()
    ));
}

#[test]
fn a_slot_is_a_number_from_one_on() {
    for slot in ["0", "x", "-1", "1.5"] {
        cargo_bin_cmd!("rotate-once")
            .args([format!("--to={slot}")])
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(contains("a slot is a whole number from 1 on"));
    }
}

#[test]
fn help_ends_with_the_exit_codes() {
    cargo_bin_cmd!("rotate-once")
        .arg("--help")
        .assert()
        .success()
        .stdout(contains("Exit codes: 0 published"));
}
