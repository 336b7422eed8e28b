//! The doctor on a real volume. How it judges each fact is tested beside its judgement.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use assert_cmd::Command;
use fixture::{ANN, Pool, now};
use predicates::prelude::*;
use predicates::str::{contains, is_empty};
use serde_json::{Value, json};

use crate::accounts;

/// A pool in use: two accounts, one of them published, and a callback that has just written its heartbeat.
fn in_use() -> Pool {
    let pool = Pool::new();
    pool.put_login(1, ANN);
    pool.put_login(2, "bob@example.test");
    accounts(pool.path()).args(["use", "1"]).assert().success();
    let heartbeat = json!({"at": now(), "pid": 7, "litellm": "1.106.2", "held": true});
    fs::write(pool.file("callback.json"), heartbeat.to_string()).unwrap();
    pool
}

/// Any program will do: the doctor looks for codex and does not run it.
fn doctor(volume: &Path, args: &[&str]) -> Command {
    let mut command = accounts(volume);
    command.env("CODEX_BIN", "/bin/sh").arg("doctor").args(args);
    command
}

#[test]
fn a_volume_in_use_has_no_findings_nothing_is_left_behind_and_no_request_is_sent() {
    let pool = in_use();
    let (before, asked) = (pool.names(), pool.openai.requests().len());
    doctor(pool.path(), &[])
        .env("CHATGPT_API_BASE", pool.openai.api_base())
        .assert()
        .success()
        .stdout(contains("ok       slots     2 of 2 can serve now\n").and(contains("FINDING").not()))
        .stderr(is_empty());
    assert_eq!(pool.names(), before);
    assert_eq!(pool.openai.requests().len(), asked);
}

#[test]
fn findings_end_with_1_and_a_script_reads_what_to_do() {
    let pool = in_use();
    fs::write(pool.file("auth-2.json"), "{half").unwrap();
    pool.set_mode("auth-2.json", 0o644);
    let assert = doctor(pool.path(), &["--json"]).assert().code(1).stderr("accounts: 2 findings\n");
    let document: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    assert_eq!(document["version"], 1);
    let path = pool.file("auth-2.json").display().to_string();
    let finding = |id: &str, message: &str, command: &str| {
        json!({"id": id, "severity": "warning", "area": "slots", "slot": 2, "message": message, "why": null,
            "command": command, "advice": null})
    };
    assert_eq!(
        document["findings"],
        json!([
            finding("slot-broken", "account-2 is broken: not JSON (line 1, column 2)", "auth-login 2"),
            finding("file-too-open", &format!("others can read {path}"), "rotate-once"),
        ])
    );
}

#[test]
fn a_volume_that_is_not_there_or_locked_by_another_process_is_a_finding() {
    doctor(Path::new("/nonexistent"), &[])
        .assert()
        .code(1)
        .stdout(contains("/nonexistent is not a directory"));
    let pool = in_use();
    let lock = File::create(pool.file(".lock")).unwrap();
    lock.lock().unwrap();
    doctor(pool.path(), &[]).assert().code(1).stdout(
        contains("FINDING  volume    another process has held").and(contains("ok       slots     2 of 2")),
    );
}

#[test]
fn a_mounted_secret_and_a_link_in_place_of_a_login_are_noticed() {
    let pool = in_use();
    symlink("..2026_11_24", pool.file("..data")).unwrap();
    symlink("auth-2.json", pool.file("auth-3.json")).unwrap();
    doctor(pool.path(), &[]).assert().code(1).stdout(
        contains("is a Secret or a ConfigMap")
            .and(contains("account-3 is broken: a symbolic link, not a regular file\n"))
            .and(contains("do        accounts remove 3\n")),
    );
}

#[test]
fn a_probe_asks_about_each_token_once_and_never_refreshes_one() {
    let pool = in_use();
    let probe = || {
        let mut command = doctor(pool.path(), &["--probe"]);
        command
            .env("CHATGPT_API_BASE", pool.openai.api_base())
            .env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", pool.openai.refresh_url());
        command
    };
    probe().assert().success().stdout(
        contains("ok       provider  the provider accepts account-1 (5h ")
            .and(contains("ok       provider  the provider accepts account-2")),
    );
    assert_eq!(pool.openai.requests_to("/backend-api/wham/usage").len(), 2);
    // A token that this provider does not know.
    let login = Pool::new().login("bob@example.test");
    pool.write("auth-2.json", login.to_string());
    probe().assert().code(1).stdout(
        contains("the provider refuses account-2 (").and(contains("\n         do        auth-login 2\n")),
    );
    assert_eq!(pool.openai.requests_to("/oauth/token"), []);
    doctor(pool.path(), &["--probe"])
        .env("CHATGPT_API_BASE", "http://127.0.0.1:1/backend-api/codex")
        .assert()
        .code(1)
        .stdout(contains("it is not known whether the provider accepts account-1 ("));
}
